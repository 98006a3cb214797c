//! The signals that the agent heeds.

use rustix::process::Signal;
use tokio::signal::unix;
use tokio::signal::unix::SignalKind;

pub(super) struct Signals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
    hangup: unix::Signal,
}

pub(super) enum Heard {
    /// Look again; an application that the agent runs gets it too.
    Hangup,
    /// End, and pass this on to an application that the agent runs.
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
    pub(super) async fn heard(&mut self) -> Heard {
        tokio::select! {
            _ = self.terminate.recv() => Heard::Stop(Signal::TERM),
            _ = self.interrupt.recv() => Heard::Stop(Signal::INT),
            _ = self.hangup.recv() => Heard::Hangup,
        }
    }
}
