//! Signals that come while the daemon is still starting.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it is wrong")]

use std::fs;
use std::time::{Duration, Instant};

use rekeyd::demo::daemon::Daemon;
use rekeyd::demo::fixture::Pace;
use rustix::process::Signal;

use crate::support::rehearsal::Rehearsal;

/// Comments that take a while to be read.
const PADDING: usize = 12 << 20;
const ATTEMPTS: usize = 5;

pub(crate) fn handles(pid: u32, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    caught & (1 << (signal.as_raw() - 1)) != 0
}

/// A daemon that got the signal while it was reading its policy, before it had opened anything.
async fn signalled_early(rehearsal: &Rehearsal, signal: Signal) -> Daemon {
    let text = fs::read_to_string(rehearsal.stage.policy()).unwrap();
    let line = format!("# {}\n", "x".repeat(60));
    fs::write(rehearsal.stage.policy(), text + &line.repeat(PADDING / line.len())).unwrap();
    for _ in 0..ATTEMPTS {
        let daemon = rehearsal.launcher.spawn().unwrap();
        let begun = Instant::now();
        while !handles(daemon.id(), signal) {
            assert!(begun.elapsed() < Duration::from_secs(20), "it never handles {signal:?}");
            std::thread::sleep(Duration::from_micros(200));
        }
        daemon.signal(signal).unwrap();
        if !rehearsal.stage.journal().exists() {
            return daemon;
        }
        // This machine was too slow to see it.
        daemon.kill().await.unwrap();
        fs::remove_file(rehearsal.stage.journal()).unwrap();
    }
    panic!("the signal is not handled before the journal is opened");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_that_is_asked_for_before_it_is_ready_is_done_once_it_is() {
    let rehearsal = Rehearsal::set(71, &Pace::new("3s", "1s", "200ms").at_rest()).await;
    let daemon = signalled_early(&rehearsal, Signal::HUP).await;
    rehearsal.until("it is ready", |it| it.said().contains("\"ready\"")).await;
    rehearsal
        .until("it has loaded the policy again", |it| it.said().contains("the policy is in force"))
        .await;
    daemon.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_is_asked_for_before_it_is_ready_is_followed_in_order() {
    for (seed, signal) in [(72, Signal::TERM), (73, Signal::INT)] {
        let rehearsal = Rehearsal::set(seed, &Pace::new("3s", "1s", "200ms").at_rest()).await;
        let mut daemon = signalled_early(&rehearsal, signal).await;
        assert!(daemon.ended().await.unwrap().success(), "{}", rehearsal.tail());
        assert!(!rehearsal.said().contains("\"ready\""), "{}", rehearsal.tail());
    }
}
