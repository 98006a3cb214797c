//! The response to a leak: an emergency rotation, or a change of the rotation under way.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::backoff;
use crate::domain::event::Event;
use crate::domain::finding::{Finding, FindingKind};
use crate::domain::ids::{KeyId, RotationId};
use crate::domain::phase::Phase;
use crate::domain::plan::{Reason, Urgency};
use crate::domain::policy::{Credential, IfVanished, Mode};
use crate::domain::record::Record;
use crate::domain::rotation::{ParkReason, RollbackCause, Rotation};
use crate::domain::secret::Fingerprint;
use crate::domain::time::later;

/// How the last emergency ended: the new key is current, and the old one is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmergencyOutcome {
    pub rotation: RotationId,
    pub why: String,
    /// When it was first seen or reported.
    pub since: Timestamp,
    pub at: Timestamp,
    /// Fingerprint of the deleted key.
    #[serde(default)]
    pub fingerprint: Option<Fingerprint>,
}

impl Record {
    /// The finding that `key` has leaked, if there is one.
    #[must_use]
    pub fn leak_of(&self, key: &KeyId) -> Option<&Finding> {
        self.findings.iter().find(|it| it.kind.is_leak() && it.key.as_ref() == Some(key))
    }

    /// The finding that the credential's key was deleted by somebody else, if there is one.
    #[must_use]
    pub fn vanished(&self) -> Option<&Finding> {
        let current = self.current.as_ref()?;
        self.findings
            .iter()
            .find(|it| it.kind == FindingKind::KeyVanished && it.key.as_ref() == Some(&current.key))
    }

    #[must_use]
    pub fn is_held(&self) -> bool {
        self.findings.iter().any(|it| it.kind == FindingKind::EmergencyHeld)
    }

    /// Why the credential's key has to be replaced at once, if it has to be, and since when. Of an observed credential only
    /// an operator's command is a reason.
    #[must_use]
    pub fn urgency(&self, credential: &Credential) -> Option<(Reason, Urgency)> {
        let Some(current) = self.current.as_ref() else {
            // Not adopted yet, or without a key: an operator's command counts all the same.
            return self.emergency.clone().map(|asked| (Reason::Manual, asked));
        };
        let urgency = |it: &Finding| Urgency { why: it.detail.clone(), since: it.since };
        if credential.mode == Mode::Observe {
            return self.emergency.clone().map(|asked| (Reason::Manual, asked));
        }
        if let Some(leak) = self.leak_of(&current.key) {
            return Some((Reason::Leak, urgency(leak)));
        }
        if let Some(asked) = &self.emergency {
            return Some((Reason::Manual, asked.clone()));
        }
        let replaced = credential.if_vanished == IfVanished::Replace && current.attributes.is_some();
        self.vanished().filter(|_| replaced).map(|vanished| (Reason::Vanished, urgency(vanished)))
    }

    /// The record after an operator asked for an emergency: it begins at once, however many others are under way.
    #[must_use]
    pub fn ask_at_once(&self, by: &str, now: Timestamp) -> Self {
        let asked = Urgency { why: format!("asked by {by}"), since: now };
        Self { emergency: Some(asked), aborts: 0, obstacle: None, ..self.clone() }
    }

    /// The back-off between aborted emergencies, beside the mint budget: seconds, not hours.
    pub(super) fn not_before_in_an_emergency(&self) -> Timestamp {
        let Some(last) = self.last.as_ref().filter(|_| self.aborts > 0) else { return Timestamp::MIN };
        let wait = backoff::CALLS.wait(self.aborts, None, &self.credential);
        later(last.at, wait)
    }
}

/// Whether a rollback leads from a good key to a leaked one: it is given up. A rollback that has restored nothing yet is
/// parked for an operator, since there was a reason to begin it.
#[must_use]
pub fn must_turn_round(record: &Record, rotation: &Rotation) -> bool {
    let phase = if let Phase::Parked { reason: ParkReason::OldKeyUnusable, was, .. } = &rotation.phase {
        was
    } else {
        &rotation.phase
    };
    let leaked = |key: &KeyId| record.leak_of(key).is_some();
    matches!(phase, Phase::Returning { .. } | Phase::Withdrawing { .. })
        && phase.rollback_cause() != Some(RollbackCause::Leak)
        && rotation.plan.old.as_ref().is_some_and(leaked)
        && !rotation.successor().is_some_and(|new| leaked(&new.key))
}

/// The event that a leak of one of its keys causes in a rotation under way, if any. A new key that leaks before it is in
/// service is discarded; after that the rotation rolls back, if the old key is good. A leaked old key makes it an emergency.
#[must_use]
pub fn response(record: &Record, rotation: &Rotation) -> Option<Event> {
    let Rotation { plan, phase, .. } = rotation;
    if rotation.is_over() || phase.is_rollback() {
        return None;
    }
    let old_leak = plan.old.as_ref().and_then(|old| record.leak_of(old));
    let new = rotation.successor().filter(|_| !matches!(phase, Phase::Discarding { .. }));
    if let Some((new, leak)) = new.and_then(|new| Some((new, record.leak_of(&new.key)?)))
        && !(plan.emergency && new.promotion_begun)
    {
        let is_parked = matches!(phase, Phase::Parked { .. });
        let bad_old = |it: &Finding| it.kind.is_out_of_service() && it.key == plan.old;
        if !new.promotion_begun {
            let why = leak.detail.clone();
            return Some(if is_parked {
                Event::AbortRequested { by: format!("a leak: {why}") }
            } else {
                Event::VerificationFailed { why }
            });
        }
        if old_leak.is_none() && rotation.can_roll_back() && !record.findings.iter().any(bad_old) {
            return Some(Event::RollbackBegun { cause: RollbackCause::Leak });
        }
        if old_leak.is_none() && !is_parked {
            let detail = format!(
                "{}, and the old key cannot take its place; `rotate --emergency` finishes this rotation and replaces the new key too",
                leak.detail
            );
            return Some(Event::Parked { reason: ParkReason::NewKeyUnusable, detail });
        }
    }
    let leak = old_leak.filter(|_| !plan.emergency)?;
    Some(Event::Escalated { why: leak.detail.clone(), since: Some(leak.since) })
}
