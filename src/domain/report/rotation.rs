//! The rotation in progress, as reports tell it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::dead_man;
use crate::domain::effect::EffectName;
use crate::domain::failure::Kind;
use crate::domain::gate::{self, Evidence, Verdict};
use crate::domain::ids::{KeyId, RotationId};
use crate::domain::phase::{Phase, PhaseName};
use crate::domain::plan::{Reason, Urgency};
use crate::domain::report::blocked::{self, SourceDelay};
use crate::domain::report::rollback::RollbackReport;
use crate::domain::report::safety_call;
use crate::domain::rotation::{LastFailure, ParkReason, Rotation};
use crate::domain::secret::Fingerprint;
use crate::domain::successor::Successor;
use crate::domain::time::later;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RotationReport {
    pub id: RotationId,
    pub reason: Reason,
    pub begun_at: Timestamp,
    pub phase: PhaseName,
    pub phase_since: Timestamp,
    /// For a parked rotation, the phase that it was in and resumes from.
    pub parked_in: Option<PhaseName>,
    /// The number of attempts to create a key so far.
    pub attempt: u32,
    pub old_key_id: Option<KeyId>,
    pub new_key_id: Option<KeyId>,
    pub new_fingerprint: Option<Fingerprint>,
    /// The earliest end of the current wait.
    pub waits_until: Option<Timestamp>,
    /// When the overlap, or the return of consumers in a rollback, reaches the policy's `at_most`.
    pub deadline: Option<Timestamp>,
    /// The state of each gate, during the overlap and the return of consumers in a rollback.
    pub gates: Vec<Verdict>,
    /// The delay and gaps of the provider's evidence. For metrics; [`WhyReport`](crate::domain::report::why::WhyReport) has all of it.
    #[serde(skip)]
    pub evidence: Vec<SourceDelay>,
    /// The old key has leaked, or may have: the rotation skips all waits.
    pub emergency: bool,
    /// Why it is an emergency, and since when that is known.
    pub urgency: Option<Urgency>,
    /// When the old key expires at the provider, if `expire_old_key` set that.
    pub old_key_expires_at: Option<Timestamp>,
    /// By when rekeyd moves that expiry on, while consumers may need the old key. For metrics.
    #[serde(skip)]
    pub old_key_expiry_moved_by: Option<Timestamp>,
    /// When the new key expires; `null` before it is published, and if it does not expire.
    pub new_key_expires_at: Option<Timestamp>,
    /// When the new key was created, if it is published. For metrics.
    #[serde(skip)]
    pub new_key_since: Option<Timestamp>,
    pub rollback: RollbackReport,
    /// The call that enables a key again, or replaces a leaked one, and since when it waits. For metrics.
    #[serde(skip)]
    pub safety_call: Option<(EffectName, Timestamp)>,
    pub parked: Option<ParkedReport>,
    pub last_failure: Option<FailureReport>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ParkedReport {
    pub reason: ParkReason,
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FailureReport {
    pub effect: EffectName,
    pub kind: Kind,
    pub failures: u32,
    pub since: Timestamp,
    pub last_at: Timestamp,
    pub message: String,
}

impl FailureReport {
    fn new(failed: &LastFailure) -> Self {
        let LastFailure { effect, first_at, last_at, failures, last } = failed;
        Self {
            effect: *effect,
            kind: last.kind,
            failures: *failures,
            since: *first_at,
            last_at: *last_at,
            message: last.to_string(),
        }
    }
}

impl RotationReport {
    pub(super) fn new(rotation: &Rotation, evidence: &Evidence, now: Timestamp) -> Self {
        let Rotation {
            plan,
            length: _,
            phase,
            since,
            attempt,
            lost: _,
            last_failure,
            overlap_began,
            dead_man,
            entered: _,
            clock_agreed: _,
            restaged_max: _,
            confirmation: _,
        } = rotation;
        let overlap_since = overlap_began.unwrap_or(*since);
        let successor = rotation.successor();
        let published = successor.filter(|successor| successor.promotion_begun);
        let mut waits_until = None;
        let mut deadline = None;
        let mut gates = Vec::new();
        if let Phase::Overlap(_) = phase {
            gates = gate::judge(rotation, evidence, overlap_since, now);
            waits_until = Some(later(overlap_since, plan.terms.at_least));
            deadline = Some(later(overlap_since, plan.terms.at_most));
        } else if let Phase::Returning { .. } = phase {
            gates = gate::judge_return(rotation, evidence, *since, now);
            waits_until = Some(later(*since, plan.terms.at_least));
            deadline = Some(later(*since, plan.terms.at_most));
        } else if let Phase::Quarantine(_) = phase {
            waits_until = Some(later(*since, plan.terms.quarantine));
        }
        let (parked, parked_in) = if let Phase::Parked { reason, detail, was } = phase {
            (Some(ParkedReport { reason: *reason, detail: detail.clone() }), Some(was.name()))
        } else {
            (None, None)
        };
        Self {
            id: plan.rotation,
            reason: plan.reason,
            begun_at: plan.begun_at,
            phase: phase.name(),
            phase_since: *since,
            parked_in,
            attempt: *attempt,
            old_key_id: plan.old.clone(),
            new_key_id: successor.map(|successor| successor.key.clone()),
            new_fingerprint: successor.map(|successor| successor.fingerprint.clone()),
            waits_until,
            deadline,
            gates,
            evidence: blocked::delays(evidence),
            emergency: plan.emergency,
            urgency: plan.urgency.clone(),
            old_key_expires_at: dead_man.filter(|dead_man| dead_man.is_in_force()).map(|it| it.at),
            old_key_expiry_moved_by: dead_man::next_renewal(rotation)
                .filter(|_| rotation.keeps_the_old_key_alive()),
            new_key_expires_at: published.and_then(Successor::expires_at),
            new_key_since: published.and_then(|published| published.facts.as_ref()?.created_at),
            rollback: RollbackReport::new(rotation, now),
            safety_call: safety_call::waiting(rotation),
            parked,
            last_failure: last_failure.as_ref().map(FailureReport::new),
        }
    }
}
