//! Receivers that are ill, slow, or wrong: tried again within bounds or given up loudly, and never quoted.

use std::time::Instant;

use super::harness::Harness;
use super::receiver::Mood;

#[tokio::test]
async fn whoever_is_ill_is_tried_again_until_well() {
    for mood in [Mood::Status(503), Mood::Status(408), Mood::Busy { seconds: 2 }, Mood::Mute] {
        let harness = Harness::build(1).await;
        harness.receiver.is(mood.clone());
        let daemon = harness.start().await;
        harness.sent("pagerduty", |sent| !sent.is_empty()).await;
        let begun = Instant::now();
        harness
            .until("it is said that the channel fails", async || {
                harness.status().1.contains("notification channel pager has been failing for")
            })
            .await;
        let (status, shown) = harness.status();
        assert!(shown.contains("next: rekeyd notify test pager"), "{shown}");
        let metrics = harness.metrics().await;
        assert!(metrics.contains("rekeyd_notification_channel_failing{channel=\"pager\"} 1"), "{metrics}");
        harness.receiver.is(Mood::Well);
        harness
            .until("it is delivered", async || {
                harness.metrics().await.contains("rekeyd_notifications_delivered_total{channel=\"pager\"} 1")
            })
            .await;
        if mood == (Mood::Busy { seconds: 2 }) {
            assert!(begun.elapsed().as_millis() > 1500, "it was not left alone for as long as it asked");
        }
        harness
            .until("nothing fails any more", async || !harness.status().1.contains("has been failing for"))
            .await;
        daemon.stop().await.unwrap();
        harness.nothing_leaked(&format!("{metrics}{status}{shown}"));
    }
}

#[tokio::test]
async fn a_refusal_is_final_loud_and_no_obstacle_for_what_comes_after_it() {
    for mood in [Mood::Status(400), Mood::Status(404), Mood::Status(307)] {
        let harness = Harness::build(1).await;
        harness.receiver.is(mood);
        let daemon = harness.start().await;
        harness
            .until("it is given up", async || {
                harness.metrics().await.contains("rekeyd_notifications_dropped_total{channel=\"hook\"} 1")
            })
            .await;
        assert!(harness.log().contains("dropped notifications"));
        let (status, shown) = harness.status();
        assert_eq!(status["attention"], true);
        assert!(shown.contains("notification channel hook has been failing for"), "{shown}");
        assert_eq!(harness.receiver.sent("generic").len(), 1);
        assert!(harness.receiver.sent("elsewhere").is_empty(), "a redirection was followed");
        harness.receiver.is(Mood::Well);
        assert!(harness.order(&["retry", "tts-0"]).status.success());
        harness.sent("generic", |sent| sent.iter().any(|it| it.body["event"] == "resolved")).await;
        daemon.stop().await.unwrap();
        harness.nothing_leaked(&format!("{status}{shown}"));
    }
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let harness = Harness::build(1).await;
    harness.receiver.is(Mood::Huge(64 * 1024 * 1024));
    let daemon = harness.start().await;
    harness
        .until("it is delivered", async || {
            harness.metrics().await.contains("rekeyd_notifications_delivered_total{channel=\"hook\"} 1")
        })
        .await;
    let memory = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let peak = memory.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    let kib: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib < 60 * 1024, "{peak}");
    daemon.stop().await.unwrap();
}
