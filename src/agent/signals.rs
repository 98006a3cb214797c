//! The signals that the agent handles.

use rustix::process::Signal;
use tokio::signal::unix;
use tokio::signal::unix::SignalKind;

/// The signals, handled from [`Signals::listen`] on.
pub struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

pub(super) enum SignalEvent {
    /// Read every source now; an application that the agent runs gets the signal too.
    Hangup,
    /// Stop, and forward this signal to an application that the agent runs.
    Stop(Signal),
}

impl Signals {
    /// # Errors
    /// The system does not allow it.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the first SIGTERM or SIGINT; keeps a SIGHUP. Cancel-safe.
    pub async fn stopped(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Cancel-safe.
    pub(super) async fn next(&mut self) -> SignalEvent {
        tokio::select! {
            _ = self.terminate.recv() => SignalEvent::Stop(Signal::TERM),
            _ = self.interrupt.recv() => SignalEvent::Stop(Signal::INT),
            _ = self.hangup.recv() => SignalEvent::Hangup,
        }
    }
}
