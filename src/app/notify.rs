//! What systemd is told. Without systemd nothing is told, and nothing is missing.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use crate::engine::Handle;

pub(super) fn ready() {
    tell(&[NotifyState::Ready, NotifyState::Status("watching over the policy's credentials")]);
}

/// One datagram, with the time: systemd kills a service that sends the two apart.
pub(super) fn reloading() {
    if let Ok(now) = NotifyState::monotonic_usec_now() {
        tell(&[NotifyState::Reloading, now]);
    }
}

pub(super) fn stopping(drain: Duration) {
    let extension = u32::try_from(drain.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(extension)]);
}

/// Feeds the watchdog from the engine's own heartbeat: a loop that does not go round is restarted.
pub(super) async fn feed_watchdog(handle: Handle, stop: CancellationToken) {
    let Some(period) = sd_notify::watchdog_enabled() else { return stop.cancelled().await };
    let mut last = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(period / 4) => {}
        }
        let beat = handle.pulse().beat;
        if beat != last {
            last = beat;
            tell(&[NotifyState::Watchdog]);
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
