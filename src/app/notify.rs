//! Notifies systemd: readiness, reloads, stopping, and the watchdog. Does nothing without systemd.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use crate::engine::Handle;
use crate::systemd_notify::send;

/// `status` is what `systemctl status` shows: one line.
pub(super) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub(super) fn begun(credentials: usize) -> String {
    format!("the policy is in force, with {credentials} credentials")
}

/// The status line after a reload. A refusal has many lines; the first names the first problem.
pub(super) fn reloaded(outcome: &Result<String, String>) -> String {
    match outcome {
        Ok(message) => message.clone(),
        Err(why) => {
            let first = why.lines().next().unwrap_or_default();
            format!("a changed policy is refused, the one before stays in force: {first}")
        }
    }
}

/// One datagram, with the time: systemd kills a service that sends the two apart.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        send(&[NotifyState::Reloading, now]);
    }
}

pub(super) fn stopping(drain: Duration) {
    let extension = u32::try_from(drain.as_micros()).unwrap_or(u32::MAX);
    let status = NotifyState::Status("stopping: every rotation goes on to its next journalled point");
    send(&[NotifyState::Stopping, status, NotifyState::ExtendTimeoutUsec(extension)]);
}

/// Feeds the watchdog from the engine's own heartbeat: an engine that hangs, or that does not look any more, is restarted.
pub(super) async fn feed_watchdog(handle: Handle, stop: CancellationToken) {
    let Some(period) = sd_notify::watchdog_enabled() else { return stop.cancelled().await };
    let mut last = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(period / 4) => {}
        }
        let beat = handle.heartbeat().beat;
        if beat != last && handle.is_looking() {
            last = beat;
            send(&[NotifyState::Watchdog]);
        }
    }
}
