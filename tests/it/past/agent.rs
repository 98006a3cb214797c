//! The files and the requests of an agent of commit 412e970.

use std::fs;

use rekeyd::config::agent::{Mode, load};
use rekeyd::domain::secret::Fingerprint;
use reqwest::Method;
use serde_json::Value;

use crate::agent::harness::AgentHarness;
use crate::http::harness::Harness;

const AGENT: &str = include_str!("agent.toml");
const ACKS: &str = include_str!("acks.json");
/// Beside a file that holds `sk_second`: the fingerprint of which the application was told last.
const NOTE: &str = include_str!("key.rekeyd-told");

#[tokio::test(flavor = "multi_thread")]
async fn the_acknowledgements_of_an_old_agent_are_accepted() {
    let harness = Harness::open().await;
    let requests: Vec<Value> = serde_json::from_str(ACKS).unwrap();
    for sent in &requests {
        let text = |field: &str| sent[field].as_str().unwrap().to_owned();
        let mut request =
            harness.request(Method::from_bytes(text("method").as_bytes()).unwrap(), &text("path"));
        for (name, value) in sent["headers"].as_object().unwrap() {
            request = request.header(name, value.as_str().unwrap());
        }
        let answer = harness.send(request.body(text("body"))).await;
        assert_eq!(answer.status, 200, "{sent}: {}", answer.text);
        // The only field that the agent reads.
        assert_eq!(answer.json()["known"], false);
    }
    assert_eq!(requests.len(), 3);
}

#[test]
fn an_agent_does_not_repeat_a_reload_that_an_old_agent_did() {
    let harness = AgentHarness::new();
    assert_eq!(NOTE.trim(), Fingerprint::of(b"sk_second").as_str());
    fs::write(harness.path(".key.rekeyd-told"), NOTE).unwrap();
    fs::write(harness.path("key"), "sk_second").unwrap();
    harness.publish("sk_second");
    let more = "[on_change]\ncommand = [\"sh\", \"-c\", \"echo $REKEYD_FINGERPRINT >> told\"]\n";
    let agent = harness.agent(&harness.config(&harness.to_key(), more));
    harness.until_log("secret written");
    harness.publish("sk_third");
    let third = Fingerprint::of(b"sk_third");
    harness.until("it is told of the third", || harness.read("told").contains(third.as_str()));
    assert_eq!(harness.read("told").lines().count(), 1);
    agent.stop();
}

#[test]
fn the_configuration_of_an_old_agent_is_accepted() {
    let config = load(&AGENT.replace("FOLDER", "/run"), "agent.toml", Mode::Beside).unwrap();
    assert_eq!(config.secrets.len(), 2);
}
