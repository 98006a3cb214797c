//! The signals that the agent handles.

use rustix::process::Signal;
use tokio::signal::unix;
use tokio::signal::unix::SignalKind;

pub(super) struct Signals {
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
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
            hangup: unix::signal(SignalKind::hangup())?,
        })
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
