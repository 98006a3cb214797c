//! An agent at rest needs little: it stands beside every application.

use std::fs;
use std::time::Duration;

use super::harness::AgentHarness;

/// Of a debug build; a release build is measured in `docs/consumers.md`.
const ANONYMOUS_KIB_MAX: u64 = 6 * 1024;

#[test]
fn an_agent_at_rest_needs_little_memory_and_one_thread_beside_that_of_its_log() {
    let harness = AgentHarness::new();
    let agent = harness.agent(&harness.config(&harness.to_key(), "[on_change]\ncommand = [\"true\"]\n"));
    harness.until_log("application is healthy");
    harness.publish("sk_second");
    harness.until("the second notification", || harness.log().matches("application notified").count() == 2);
    std::thread::sleep(Duration::from_millis(200));
    let status = fs::read_to_string(format!("/proc/{}/status", agent.id())).unwrap();
    let field = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.split_whitespace().next()).unwrap().parse().unwrap()
    };
    assert!(field("RssAnon") <= ANONYMOUS_KIB_MAX, "{status}");
    assert_eq!(field("Threads"), 2, "{status}");
    let tasks = fs::read_dir(format!("/proc/{}/task", agent.id())).unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(names, ["log-writer\n", "rekeyd\n"]);
    agent.stop();
}
