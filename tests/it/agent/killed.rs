//! An agent that is killed at any moment leaves a good file, and the next one finishes what it began.

use std::fs;
use std::time::Duration;

use serde_json::json;

use super::harness::{AgentHarness, fingerprint};
use super::recorder::Recorder;

#[test]
fn killed_before_the_application_heard_it_is_told_by_the_next_agent() {
    let harness = AgentHarness::new();
    let rekeyd = Recorder::start();
    // The application takes the key up at the end of a command that is slow while `slow` is there.
    let script = "touch begun; while [ -e slow ]; do sleep 0.02; done; cp key in-use";
    let more = format!(
        "[on_change]\ncommand = [\"sh\", \"-c\", {script:?}]\n[health]\ncommand = [\"cmp\", \"-s\", \"key\", \
         \"in-use\"]\nafter = \"20ms\"\nevery = \"20ms\"\n"
    ) + &harness.rekeyd(&rekeyd.url(""), "5m");
    let config = harness.config(&harness.to_key(), &more);
    let agent = harness.agent(&config);
    harness.until("the first is in use", || harness.read("in-use") == "sk_first");
    harness.until("and acknowledged", || rekeyd.posted().len() == 1);

    fs::remove_file(harness.path("begun")).unwrap();
    fs::write(harness.path("slow"), "").unwrap();
    harness.publish("sk_second");
    harness.until("the command has begun", || harness.path("begun").exists());
    agent.kill();
    assert_eq!((harness.read("key").as_str(), harness.read("in-use").as_str()), ("sk_second", "sk_first"));
    assert_eq!(rekeyd.posted().len(), 1, "a key was acknowledged that nobody uses");
    // The killed agent's command lives on in its own group: it does nothing but what the next one does too.
    fs::remove_file(harness.path("slow")).unwrap();

    let agent = harness.agent(&config);
    harness.until("the second is acknowledged", || rekeyd.posted().len() == 2);
    let wanted = json!({ "consumer": "api", "fingerprint": fingerprint("sk_second"), "status": "using" });
    assert_eq!(rekeyd.posted()[1], wanted);
    assert_eq!(harness.read("in-use"), "sk_second");
    agent.stop();
}

#[test]
fn killed_at_any_moment_the_file_is_whole_and_the_application_gets_the_newest() {
    let harness = AgentHarness::new();
    let value = |number: usize| format!("sk_{number:04}").repeat(400);
    let config =
        harness.config(&harness.to_key(), "[on_change]\ncommand = [\"cp\", \"-f\", \"key\", \"in-use\"]\n");
    harness.publish(&value(0));
    let first = harness.agent(&config);
    harness.until_key(&value(0));
    first.kill();
    for number in 1..25 {
        let agent = harness.agent(&config);
        harness.publish(&value(number));
        // From before it reads anything to after it has done everything.
        std::thread::sleep(Duration::from_millis(u64::try_from(number).unwrap() * 2));
        agent.kill();
        let key = harness.read("key");
        assert!((0..=number).any(|number| value(number) == key), "torn: {} bytes", key.len());
    }
    // As if one had been killed while it wrote.
    fs::write(harness.path(".key.rekeyd-new"), "sk_half").unwrap();
    let agent = harness.agent(&config);
    harness.until("the application has the newest", || harness.read("in-use") == value(24));
    assert_eq!(harness.read("key"), value(24));
    harness.until("what was not finished is gone", || !harness.path(".key.rekeyd-new").exists());
    agent.stop();
}
