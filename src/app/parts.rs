//! The daemon's parts: its tasks beside the engine, each with a name, so that an error says which one ended.

use std::collections::HashMap;
use std::fmt;

use tokio::task::{Id, JoinSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    TraceExporter,
    PublicListener,
    TlsFiles,
    OperatorSocket,
    Notifier,
    Reloads,
    Scans,
    Watchdog,
    AuditLog,
    Comparisons,
    JournalProbe,
    Signals,
}

/// A part that ended although nothing stops the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndedPart {
    part: Part,
    panicked: bool,
}

/// The running parts.
#[derive(Default)]
pub(super) struct Parts {
    tasks: JoinSet<()>,
    names: HashMap<Id, Part>,
}

impl Part {
    fn label(self) -> &'static str {
        match self {
            Self::TraceExporter => "trace exporter",
            Self::PublicListener => "public listener",
            Self::TlsFiles => "reloading of the TLS files",
            Self::OperatorSocket => "operator socket",
            Self::Notifier => "notifier",
            Self::Reloads => "reloading of the policy",
            Self::Scans => "schedule of the scans",
            Self::Watchdog => "systemd watchdog",
            Self::AuditLog => "daily audit head",
            Self::Comparisons => "comparison with the workspaces' audit logs",
            Self::JournalProbe => "probe of the journal",
            Self::Signals => "signal handler",
        }
    }
}

impl fmt::Display for EndedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.panicked { "panicked" } else { "ended by itself" };
        write!(f, "the daemon's {} {how}", self.part.label())
    }
}

impl Parts {
    pub(super) fn spawn(&mut self, part: Part, work: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(work);
        self.names.insert(task.id(), part);
    }

    /// Waits until a part ends; `None` if none is left. Cancel-safe.
    pub(super) async fn next_ended(&mut self) -> Option<EndedPart> {
        loop {
            let (id, panicked) = match self.tasks.join_next_with_id().await? {
                Ok((id, ())) => (id, false),
                Err(error) => (error.id(), true),
            };
            if let Some(part) = self.names.remove(&id) {
                return Some(EndedPart { part, panicked });
            }
        }
    }

    /// Waits for every part, and returns the first that panicked.
    pub(super) async fn all_ended(&mut self) -> Option<EndedPart> {
        let mut broken = None;
        while let Some(ended) = self.next_ended().await {
            broken = broken.or_else(|| Some(ended).filter(|ended| ended.panicked));
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_part_that_ends_is_named() {
        let mut parts = Parts::default();
        parts.spawn(Part::Watchdog, std::future::pending());
        parts.spawn(Part::OperatorSocket, async {});
        let ended = parts.next_ended().await.unwrap();
        assert_eq!(ended.to_string(), "the daemon's operator socket ended by itself");
        let mut parts = Parts::default();
        parts.spawn(Part::Scans, async {});
        parts.spawn(Part::Notifier, async { panic!("planted") });
        let broken = parts.all_ended().await.unwrap();
        assert_eq!(broken.to_string(), "the daemon's notifier panicked");
        assert_eq!(parts.next_ended().await, None);
    }
}
