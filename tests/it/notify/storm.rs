//! Many alerts at once are one digest in Slack, and one incident each in PagerDuty.

use std::collections::BTreeSet;

use super::harness::Harness;
use super::receiver::{Mood, Sent};
use super::told::{is_a_message, is_an_event};

#[tokio::test]
async fn many_alerts_at_once_are_one_digest_in_a_chat() {
    let harness = Harness::build(12).await;
    harness.receiver.is_at("slack", Mood::Status(503));
    let daemon = harness.start().await;
    let all_twelve = |sent: &[Sent]| {
        sent.iter().map(|it| it.body["dedup_key"].to_string()).collect::<BTreeSet<_>>().len() == 12
    };
    let events = harness.sent("pagerduty", all_twelve).await;
    events.iter().for_each(|it| is_an_event(&it.body));
    assert_eq!(events.len(), 12);
    // What the pager was told waits for the chat since the same moment.
    let before = harness.sent("slack", |sent| !sent.is_empty()).await.len();
    harness.receiver.is_at("slack", Mood::Well);
    harness
        .until("the chat has them all", async || {
            harness.metrics().await.contains("rekeyd_notifications_delivered_total{channel=\"chat\"} 12")
        })
        .await;
    daemon.stop().await.unwrap();
    let sent = harness.receiver.sent("slack");
    sent.iter().for_each(|it| is_a_message(&it.body));
    let digest = sent.last().unwrap().body.to_string();
    assert!(
        digest.contains("notifications from rekeyd") && digest.contains("and 2 more"),
        "{}",
        harness.log()
    );
    assert!(sent.len() - before <= 2, "{sent:#?}");
}
