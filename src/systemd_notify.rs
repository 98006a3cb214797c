//! Notifications to systemd, sent in order by a thread of their own: a service manager that takes none at the moment holds
//! up nobody. Nothing is sent where the program does not run under systemd.

use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use sd_notify::NotifyState;

use crate::config_file::environment::{Environment as _, ProcessEnvironment};

const WAITING_MAX: usize = 64;
const THREAD: &str = "systemd-notify";

static QUEUE: OnceLock<SyncSender<String>> = OnceLock::new();

/// Queues these states as one datagram; drops it if the manager has taken none for long.
pub(crate) fn send(states: &[NotifyState<'_>]) {
    if ProcessEnvironment.read("NOTIFY_SOCKET").is_none() {
        return;
    }
    let lines: Vec<String> = states.iter().map(ToString::to_string).collect();
    let queue = QUEUE.get_or_init(|| {
        let (queue, waiting) = sync_channel(WAITING_MAX);
        if let Err(error) = thread::Builder::new().name(THREAD.to_owned()).spawn(|| deliver(waiting)) {
            tracing::warn!(%error, "systemd cannot be notified");
        }
        queue
    });
    if queue.try_send(lines.join("\n")).is_err() {
        tracing::debug!("systemd takes no notifications; one was dropped");
    }
}

fn deliver(waiting: Receiver<String>) {
    for datagram in waiting {
        if let Err(error) = sd_notify::notify(&[NotifyState::Custom(&datagram)]) {
            tracing::warn!(%error, "systemd could not be notified");
        }
    }
}
