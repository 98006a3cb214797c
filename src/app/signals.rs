//! The signals that the daemon handles.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::domain::audit::Actor;
use crate::http::Reload;
use crate::telemetry::logging;

/// How long an exit at once waits for a log that nobody reads.
const LAST_LINES: Duration = Duration::from_millis(200);

/// The signals that the daemon handles.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Handles the signals from now on: none of them ends the process by itself any more. To be called in a runtime, before
    /// anything that takes time.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the first SIGTERM or SIGINT; keeps a SIGHUP. Cancel-safe.
    pub async fn stopped(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// SIGHUP loads the policy again. The first SIGTERM or SIGINT stops in order, the second at once.
    pub(super) async fn handle(
        mut self,
        reloads: mpsc::Sender<Reload>,
        stop: CancellationToken,
        done: CancellationToken,
    ) {
        loop {
            let code = tokio::select! {
                () = done.cancelled() => return,
                _ = self.hangup.recv() => {
                    let (answer, _) = tokio::sync::oneshot::channel();
                    let by = Actor::Operator("who sent SIGHUP".to_owned());
                    // A full queue means that the policy is about to be loaded again anyway.
                    drop(reloads.try_send(Reload { by, answer }));
                    continue;
                }
                _ = self.terminate.recv() => 143,
                _ = self.interrupt.recv() => 130,
            };
            if stop.is_cancelled() {
                tracing::warn!("stopping at once: a second signal was received");
                leave(code);
            }
            stop.cancel();
        }
    }
}

/// As safe as being killed.
#[expect(clippy::exit, reason = "the second signal means now")]
fn leave(code: i32) {
    logging::flush(LAST_LINES);
    std::process::exit(code);
}
