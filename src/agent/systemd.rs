//! Notifications to systemd. They do nothing where the agent does not run under systemd.

use sd_notify::NotifyState;

use crate::systemd_notify::send;

/// Every secret is written: the application may start.
pub(super) fn ready() {
    send(&[NotifyState::Ready]);
}

pub(super) fn status(text: &str) {
    send(&[NotifyState::Status(text)]);
}

pub(super) fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// Everything runs on one thread: while this timer fires, the agent is not blocked.
pub(super) async fn feed_watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else { return std::future::pending().await };
    loop {
        send(&[NotifyState::Watchdog]);
        tokio::time::sleep(period / 4).await;
    }
}
