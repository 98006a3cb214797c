//! Notifications to systemd. They do nothing where the agent does not run under systemd.

use sd_notify::NotifyState;

/// Every secret is written: the application may start.
pub(super) fn ready() {
    notify(&[NotifyState::Ready]);
}

pub(super) fn status(text: &str) {
    notify(&[NotifyState::Status(text)]);
}

pub(super) fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Everything runs on one thread: while this timer fires, the agent is not blocked.
pub(super) async fn feed_watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        notify(&[NotifyState::Watchdog]);
        tokio::time::sleep(period / 4).await;
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "cannot notify systemd");
    }
}
