//! Who counts what the engine does. Nothing that is counted is ever needed again: the journal has it.

use std::time::Duration;

use crate::domain::ids::{RotationId, WorkspaceName};
use crate::domain::phase::PhaseName;
use crate::domain::plan::Reason;

/// A rotation that left a phase.
#[derive(Debug, Clone, Copy)]
pub struct Transition<'a> {
    pub rotation: RotationId,
    /// The number of the entry by which it moved.
    pub entry: u64,
    pub workspace: &'a WorkspaceName,
    /// Why it began.
    pub reason: Reason,
    /// The phase that it left, and how long it was there; `None` if it has just begun.
    pub left: Option<(PhaseName, Duration)>,
    pub to: PhaseName,
}

/// Counts. Neither fails nor waits.
pub trait Meter: Send + Sync {
    /// A transition is durable.
    fn moved(&self, moved: Transition<'_>);

    /// The journal was asked to make something durable, and did or could not.
    fn wrote(&self, took: Duration, durable: bool);
}

/// Counts nothing.
pub struct Unmetered;

impl Meter for Unmetered {
    fn moved(&self, _: Transition<'_>) {}

    fn wrote(&self, _: Duration, _: bool) {}
}
