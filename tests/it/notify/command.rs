//! `rekeyd notify test` tries each channel without a daemon, and says what was answered.

use serde_json::Value;

use super::harness::Harness;
use super::receiver::Mood;
use super::told::{is_a_message, is_an_event};

#[tokio::test(flavor = "multi_thread")]
async fn a_test_reaches_each_channel_and_leaves_no_incident_behind() {
    let harness = Harness::build(1).await;
    let told = harness.rekeyd(&["notify", "test", "--policy", harness.policy()]);
    let said = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success(), "{said}");
    assert_eq!(
        said,
        "chat (slack): delivered: HTTP 200: Slack posted the message\n\
         hook (generic): delivered: HTTP 200: accepted\n\
         pager (pagerduty): delivered: HTTP 202: PagerDuty accepted the event\n"
    );
    is_a_message(&harness.receiver.sent("slack")[0].body);
    let events = harness.receiver.sent("pagerduty");
    events.iter().for_each(|it| is_an_event(&it.body));
    let actions: Vec<&Value> = events.iter().map(|it| &it.body["event_action"]).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    assert_eq!(events[0].body["dedup_key"], events[1].body["dedup_key"]);
    let one = harness.rekeyd(&["notify", "test", "hook", "--policy", harness.policy(), "--output", "json"]);
    let one: Value = serde_json::from_slice(&one.stdout).unwrap();
    assert_eq!(
        (&one["channels"][0]["channel"], &one["channels"][0]["delivered"]),
        (&"hook".into(), &true.into())
    );
    assert_eq!(harness.receiver.sent("slack").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_that_is_not_taken_says_why_and_shows_no_secret() {
    let harness = Harness::build(1).await;
    harness.receiver.is(Mood::Status(400));
    let told = harness.rekeyd(&["notify", "test", "--policy", harness.policy()]);
    assert_eq!(told.status.code(), Some(1));
    let said = String::from_utf8([told.stdout, told.stderr].concat()).unwrap();
    assert!(said.contains("pager (pagerduty): not delivered: HTTP 400"), "{said}");
    assert!(said.contains("check that the routing key belongs to an Events API v2 integration"), "{said}");
    harness.nothing_leaked(&said);
    let unknown = harness.rekeyd(&["notify", "test", "nobody", "--policy", harness.policy()]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("known channels: chat, hook, pager"));
    harness.write("slack-url", "ftp://secret-place");
    let wrong = harness.rekeyd(&["notify", "test", "--policy", harness.policy()]);
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert!(said.contains("the channel `chat` cannot be used") && !said.contains("secret-place"), "{said}");
}
