//! What was journalled is told, whatever dies; and what is over is told to be over, whenever that was seen.

use super::harness::Harness;
use super::receiver::Mood;

#[tokio::test]
async fn a_notice_that_nobody_took_before_a_sigkill_is_told_after_it() {
    let harness = Harness::build(1).await;
    harness.receiver.is(Mood::Status(500));
    let daemon = harness.start().await;
    harness.sent("pagerduty", |sent| !sent.is_empty()).await;
    daemon.kill().await.unwrap();
    let before = harness.receiver.sent("pagerduty").len();
    harness.receiver.is(Mood::Well);
    let daemon = harness.start().await;
    let sent = harness.sent("pagerduty", |sent| sent.len() > before).await;
    daemon.stop().await.unwrap();
    assert_eq!(harness.receiver.sent("pagerduty").len(), before + 1, "once is enough when it is taken");
    assert!(sent.iter().all(|it| it.body["dedup_key"] == sent[0].body["dedup_key"]), "{sent:#?}");
    harness.nothing_leaked("");
}

#[tokio::test]
async fn a_notice_whose_answer_was_lost_with_the_daemon_comes_again_as_the_same() {
    let harness = Harness::build(1).await;
    harness.receiver.is(Mood::Mute);
    let daemon = harness.start().await;
    let first = harness.sent("generic", |sent| !sent.is_empty()).await;
    daemon.kill().await.unwrap();
    harness.receiver.is(Mood::Well);
    let daemon = harness.start().await;
    let sent = harness.sent("generic", |sent| sent.len() > first.len()).await;
    for again in &sent[1..] {
        assert_eq!((&again.body["id"], &again.body["key"]), (&sent[0].body["id"], &sent[0].body["key"]));
    }
    daemon.stop().await.unwrap();
}

#[tokio::test]
async fn what_ended_while_the_daemon_was_down_is_resolved() {
    let harness = Harness::build(1).await;
    let daemon = harness.start().await;
    harness.write_policy("\n[credentials.typo]\nservce_account = \"x\"\n");
    assert!(!harness.order(&["reload"]).status.success());
    let is_it = |news: &'static str| {
        move |sent: &[super::receiver::Sent]| {
            sent.iter().any(|it| it.body["reason"] == "policy_refused" && it.body["event"] == news)
        }
    };
    harness.sent("generic", is_it("opened")).await;
    daemon.kill().await.unwrap();
    harness.write_policy("");
    let daemon = harness.start().await;
    harness.sent("generic", is_it("resolved")).await;
    let parked: Vec<_> = harness.receiver.sent("generic");
    let parked = parked.iter().filter(|it| it.body["reason"] == "mint_refused").count();
    assert_eq!(parked, 1, "what is still true is not told again");
    daemon.stop().await.unwrap();
}
