//! The agent runs the application: with its secrets, anew after a change, and never left behind.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use super::harness::{AgentHarness, TOKEN, fingerprint, is_alive};
use super::recorder::Recorder;

/// Notes its number and its key, and ends with 7 when it is told to.
const APP: &str = "trap 'echo ended >> story; exit 7' TERM; trap 'echo hup >> story' HUP; \
                   trap 'echo int >> story; exit 9' INT; \
                   echo $$ > pid; env > environment; echo \"began $KEY $(cat \"$KEY_FILE\")\" >> story; \
                   while :; do sleep 0.02; done";

fn both(harness: &AgentHarness) -> String {
    format!("{}\nvariable = \"KEY\"\npath_variable = \"KEY_FILE\"", harness.to_key())
}

#[test]
fn the_application_has_its_secret_and_is_started_again_when_it_changed() {
    let harness = AgentHarness::new();
    let mut agent = harness.exec(&harness.config(&both(&harness), ""), APP);
    harness.until("it runs", || harness.read("story") == "began sk_first sk_first\n");
    harness.publish("sk_second");
    let whole = "began sk_first sk_first\nended\nbegan sk_second sk_second\n";
    harness.until("it runs with the second", || harness.read("story") == whole);
    let second = harness.read("pid");
    agent.signal(Signal::HUP);
    harness.until("SIGHUP is passed on", || harness.read("story") == format!("{whole}hup\n"));
    assert!(is_alive(&second));
    agent.signal(Signal::TERM);
    assert_eq!(agent.ended().code(), Some(7));
    assert!(harness.read("story").ends_with("hup\nended\n") && !is_alive(&second));
    assert!(!harness.log().contains("sk_"));
}

#[test]
fn the_value_can_be_in_the_environment_alone_and_the_token_is_not_there() {
    let harness = AgentHarness::new();
    let rekeyd = Recorder::start();
    let more = harness.rekeyd(&rekeyd.url(""), "5m");
    let more =
        more.replace(&format!("token.file = \"{}\"", harness.shown("token")), "token.env = \"AGENT_TOKEN\"");
    let config = harness.config("variable = \"KEY\"", &more);
    let arguments = ["--exec", "--", "sh", "-c", &APP.replace("$(cat \"$KEY_FILE\")", "")];
    let mut agent = harness.agent_with(&config, &arguments, &[("AGENT_TOKEN", TOKEN)]);
    harness.until("it runs", || harness.read("story") == "began sk_first \n");
    harness.until("it runs steadily and is acknowledged", || !rekeyd.posted().is_empty());
    let wanted = json!({ "consumer": "api", "fingerprint": fingerprint("sk_first"), "status": "using" });
    assert_eq!(rekeyd.posted(), [wanted]);
    let header = rekeyd.requests()[0].header("authorization").map(str::to_owned);
    assert_eq!(header, Some(format!("Bearer {TOKEN}")));
    assert!(!harness.path("key").exists());
    for id in [agent.id().to_string(), harness.read("pid").trim().to_owned()] {
        let line = fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap();
        assert!(!line.is_empty() && !line.contains(TOKEN) && !line.contains("sk_"), "{line}");
    }
    let environment = harness.read("environment");
    assert!(environment.contains("KEY=sk_first") && !environment.contains(TOKEN), "{environment}");
    agent.signal(Signal::INT);
    assert_eq!(agent.ended().code(), Some(9));
    assert!(!harness.log().contains(TOKEN) && !harness.log().contains("sk_"));
}

#[test]
fn an_application_that_ends_by_itself_ends_the_agent_with_its_code() {
    for (script, code) in [("exit 0", 0), ("exit 42", 42), ("kill -9 $$", 137), ("exec /nowhere/app", 127)] {
        let harness = AgentHarness::new();
        let mut agent = harness.exec(&harness.config(&harness.to_key(), ""), script);
        assert_eq!(agent.ended().code(), Some(code), "{script}\n{}", harness.log());
    }
    let harness = AgentHarness::new();
    let missing = ["--exec", "--", "/nowhere/app"];
    let mut agent = harness.agent_with(&harness.config(&harness.to_key(), ""), &missing, &[]);
    assert_eq!(agent.ended().code(), Some(127));
    assert!(harness.log().contains("cannot start the application `/nowhere/app`"), "{}", harness.log());
}

#[test]
fn an_application_that_ends_at_its_new_key_is_reported_as_failing() {
    let harness = AgentHarness::new();
    let rekeyd = Recorder::start();
    let script = "[ \"$KEY\" = sk_second ] && exit 3; while :; do sleep 0.02; done";
    let config = harness.config("variable = \"KEY\"", &harness.rekeyd(&rekeyd.url(""), "5m"));
    let mut agent = harness.exec(&config, script);
    harness.until("the first is acknowledged", || rekeyd.posted().len() == 1);
    harness.publish("sk_second");
    assert_eq!(agent.ended().code(), Some(3));
    let last = rekeyd.posted().pop().unwrap();
    assert_eq!(
        (&last["fingerprint"], &last["status"]),
        (&json!(fingerprint("sk_second")), &json!("failing"))
    );
}

#[test]
fn it_can_be_started_again_whenever_it_failed() {
    let harness = AgentHarness::new();
    let script = "echo . >> starts; [ $(wc -l < starts) -lt 3 ] && exit 5; exit 0";
    let config = harness.config(&harness.to_key(), "[exec]\nrestart = \"on_failure\"\n");
    let mut agent = harness.exec(&config, script);
    assert_eq!(agent.ended().code(), Some(0));
    assert_eq!(harness.read("starts").lines().count(), 3);
}

#[test]
fn nothing_of_an_application_is_left_that_does_not_end() {
    let harness = AgentHarness::new();
    // It ignores SIGTERM, and so does its own child.
    let stubborn = "trap '' TERM; (trap '' TERM; while :; do sleep 0.02; done) & echo $! > child; \
                    echo $$ > pid.new; mv pid.new pid; while :; do sleep 0.02; done";
    let config = harness.config(&harness.to_key(), "[exec]\nstop_within = \"200ms\"\n");
    let mut agent = harness.exec(&config, stubborn);
    harness.until("it runs", || harness.path("pid").exists());
    let first = (harness.read("pid"), harness.read("child"));
    harness.publish("sk_second");
    harness.until("another one runs", || is_alive(&harness.read("pid")) && harness.read("pid") != first.0);
    assert!(!is_alive(&first.0) && !is_alive(&first.1), "the first is still there");
    let second = (harness.read("pid"), harness.read("child"));
    agent.signal(Signal::TERM);
    assert_eq!(agent.ended().code(), Some(137));
    harness.until("the second is gone", || !is_alive(&second.0) && !is_alive(&second.1));
    assert!(harness.log().contains("killing it"));
}

#[test]
fn what_an_application_leaves_behind_ends_with_it() {
    let harness = AgentHarness::new();
    let script = "(trap '' TERM; while :; do sleep 0.02; done) & echo $! > child; exit 4";
    let mut agent = harness.exec(&harness.config(&harness.to_key(), ""), script);
    assert_eq!(agent.ended().code(), Some(4));
    harness.until("its child is gone", || !is_alive(&harness.read("child")));
}

#[test]
fn an_application_dies_with_an_agent_that_is_killed() {
    let harness = AgentHarness::new();
    let agent = harness.exec(&harness.config(&both(&harness), ""), APP);
    harness.until("it runs", || harness.read("story").contains("began"));
    let id = harness.read("pid");
    assert!(is_alive(&id));
    agent.kill();
    harness.until("it is gone", || !is_alive(&id));
    assert_eq!(harness.read("key"), "sk_first");
}
