//! Signals that come while the agent is still starting.
#![expect(clippy::panic, reason = "a test ends where it is wrong")]

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::harness::{Agent, AgentHarness};
use crate::early_signals::handles;

/// Comments that take a while to be read.
const PADDING: usize = 8 << 20;
const ATTEMPTS: usize = 8;

/// An agent that got the signal before it had written anything.
fn signalled_early(harness: &AgentHarness, signal: Signal) -> Agent {
    let line = format!("# {}\n", "x".repeat(60));
    let config = harness.config(&harness.to_key(), &line.repeat(PADDING / line.len()));
    for _ in 0..ATTEMPTS {
        let agent = harness.agent(&config);
        let begun = Instant::now();
        while !handles(agent.id(), signal) {
            assert!(begun.elapsed() < Duration::from_secs(20), "it never handles {signal:?}");
            std::thread::sleep(Duration::from_micros(200));
        }
        agent.signal(signal);
        if !harness.path("key").exists() {
            return agent;
        }
        // This machine was too slow to see it.
        agent.kill();
        fs::remove_file(harness.path("key")).unwrap();
    }
    panic!("the signal is not handled before the key is written");
}

#[test]
fn a_stop_that_is_asked_for_before_it_has_begun_is_followed_in_order() {
    for signal in [Signal::TERM, Signal::INT] {
        let harness = AgentHarness::new();
        let mut agent = signalled_early(&harness, signal);
        assert!(agent.ended().success(), "{}", harness.log());
        assert!(!harness.path("key").exists(), "nothing was written: {}", harness.log());
    }
}

#[test]
fn a_hangup_before_it_has_begun_does_not_end_it() {
    let harness = AgentHarness::new();
    let agent = signalled_early(&harness, Signal::HUP);
    harness.until_key("sk_first");
    harness.publish("sk_second");
    harness.until_key("sk_second");
    agent.stop();
}
