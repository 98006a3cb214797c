//! What systemd is told. Without systemd nothing is told, and nothing is missing.

use sd_notify::NotifyState;

/// Every secret stands where the application reads it: it may be started.
pub(super) fn ready() {
    tell(&[NotifyState::Ready]);
}

pub(super) fn status(text: &str) {
    tell(&[NotifyState::Status(text)]);
}

pub(super) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Everything runs on one thread: while this timer goes round, the rest does.
pub(super) async fn feed_watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        tell(&[NotifyState::Watchdog]);
        tokio::time::sleep(period / 4).await;
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}
