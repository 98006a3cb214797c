//! What all reconcilers share.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::engine::committed_states::CommittedStates;
use crate::engine::context::Context;
use crate::engine::hold_cache::HoldCache;
use crate::engine::journal_health::JournalHealth;
use crate::engine::publishing_turns::PublishingTurns;
use crate::engine::recoveries::Recoveries;
use crate::engine::rotation_limiter::RotationLimiter;
use crate::engine::unsaved_findings::UnsavedFindings;
use crate::engine::waiting_log::WaitingLog;
use crate::engine::waits::Waits;
use crate::ports::journal::{self, HoldRegister};

/// What all reconcilers share beside the policy. Outlives reloads.
pub(super) struct SharedState {
    pub(super) holds: HoldCache,
    pub(super) rotation_limiter: RotationLimiter,
    pub(super) publishing_turns: PublishingTurns,
    /// Admits first rotations, which also need a slot of the other.
    pub(super) first_limiter: RotationLimiter,
    pub(super) committed: CommittedStates,
    /// How many reconcilers wait because the journal cannot be written.
    pub(super) blocked_writes: Arc<AtomicUsize>,
    pub(super) journal_health: JournalHealth,
    pub(super) unsaved_findings: UnsavedFindings,
    pub(super) waits: Waits,
    pub(super) recoveries: Recoveries,
    pub(super) waiting_log: WaitingLog,
}

impl SharedState {
    /// Whether what `subject` waits for, or fails in, is to be logged: once when it changes, then hourly.
    pub(super) fn is_news(&self, context: &Context, subject: &str, kind: &'static str, what: &str) -> bool {
        self.waiting_log.is_news(context.clock.as_ref(), subject, kind, what)
    }

    /// # Errors
    /// As of [`HoldCache::load`].
    pub(super) async fn load(journal: Arc<dyn HoldRegister>) -> Result<Self, journal::Error> {
        Ok(Self {
            holds: HoldCache::load(journal).await?,
            rotation_limiter: RotationLimiter::default(),
            publishing_turns: PublishingTurns::default(),
            first_limiter: RotationLimiter::default(),
            committed: CommittedStates::default(),
            blocked_writes: Arc::default(),
            journal_health: JournalHealth::default(),
            unsaved_findings: UnsavedFindings::default(),
            waits: Waits::default(),
            recoveries: Recoveries::default(),
            waiting_log: WaitingLog::default(),
        })
    }
}
