//! Many troubles at once are one message to people, and one incident each to a pager.

use super::house::House;
use super::receiver::Mood;
use super::told::{is_a_message, is_an_event};

#[tokio::test]
async fn many_troubles_at_once_are_one_digest_in_a_chat() {
    let house = House::build(12).await;
    house.receiver.is(Mood::Status(503));
    let daemon = house.start().await;
    // All twelve wait, because the first was not taken.
    house
        .until("all are parked", async || {
            let shown = house.status().1;
            shown.matches("parked").count() >= 12 && shown.contains("the channel chat has failed")
        })
        .await;
    house.receiver.is(Mood::Well);
    let before = house.receiver.sent("slack").len();
    let events = house.sent("pagerduty", |sent| {
        let keys: std::collections::BTreeSet<_> =
            sent.iter().map(|it| it.body["dedup_key"].to_string()).collect();
        keys.len() == 12
    });
    events.await.iter().for_each(|it| is_an_event(&it.body));
    house
        .until("the chat has them all", async || {
            house.metrics().await.contains("rekeyd_notices_delivered_total{channel=\"chat\"} 12")
        })
        .await;
    daemon.stop().await.unwrap();
    let sent = house.receiver.sent("slack");
    sent.iter().for_each(|it| is_a_message(&it.body));
    let digests = sent[before..].iter().filter(|it| it.body.to_string().contains("notices from rekeyd"));
    assert!(digests.count() >= 1 && sent.len() - before <= 3, "{:#?}", &sent[before..]);
}
