//! The meter port: counts what the engine does. No decision depends on a count; the journal has every event.

use std::time::Duration;

use crate::domain::ids::{RotationId, WorkspaceName};
use crate::domain::phase::PhaseName;
use crate::domain::plan::Reason;

/// A rotation that changed its phase.
#[derive(Debug, Clone, Copy)]
pub struct Transition<'a> {
    pub rotation: RotationId,
    /// The number of the journal entry of the change.
    pub entry: u64,
    pub workspace: &'a WorkspaceName,
    /// Why the rotation began.
    pub reason: Reason,
    /// The phase that it left, and how long it was in it; `None` at the beginning of a rotation.
    pub left: Option<(PhaseName, Duration)>,
    pub to: PhaseName,
}

/// Counts. Never fails and never waits.
pub trait Meter: Send + Sync {
    /// A transition is durable.
    fn moved(&self, transition: Transition<'_>);

    /// One write of the journal ended: `durable`, or failed.
    fn wrote(&self, took: Duration, durable: bool);
}

/// Counts nothing.
pub struct Unmetered;

impl Meter for Unmetered {
    fn moved(&self, _: Transition<'_>) {}

    fn wrote(&self, _: Duration, _: bool) {}
}
