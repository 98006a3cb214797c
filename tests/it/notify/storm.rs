//! Many troubles at once are one message to people, and one incident each to a pager.

use std::collections::BTreeSet;

use super::house::House;
use super::receiver::{Mood, Sent};
use super::told::{is_a_message, is_an_event};

#[tokio::test]
async fn many_troubles_at_once_are_one_digest_in_a_chat() {
    let house = House::build(12).await;
    house.receiver.is_at("slack", Mood::Status(503));
    let daemon = house.start().await;
    let all_twelve = |sent: &[Sent]| {
        sent.iter().map(|it| it.body["dedup_key"].to_string()).collect::<BTreeSet<_>>().len() == 12
    };
    let events = house.sent("pagerduty", all_twelve).await;
    events.iter().for_each(|it| is_an_event(&it.body));
    assert_eq!(events.len(), 12);
    // What the pager was told waits for the chat since the same moment.
    let before = house.sent("slack", |sent| !sent.is_empty()).await.len();
    house.receiver.is_at("slack", Mood::Well);
    house
        .until("the chat has them all", async || {
            house.metrics().await.contains("rekeyd_notices_delivered_total{channel=\"chat\"} 12")
        })
        .await;
    daemon.stop().await.unwrap();
    let sent = house.receiver.sent("slack");
    sent.iter().for_each(|it| is_a_message(&it.body));
    let digest = sent.last().unwrap().body.to_string();
    assert!(digest.contains("notices from rekeyd") && digest.contains("and 2 more"), "{}", house.log());
    assert!(sent.len() - before <= 2, "{sent:#?}");
}
