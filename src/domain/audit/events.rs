//! Audit records of rotation events: the key, and the details.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::audit::{Act, Actor, Hash, object};
use crate::domain::event::Event;
use crate::domain::gate::Verdict;
use crate::domain::ids::{CredentialName, KeyId, RotationId, WorkspaceName};
use crate::domain::plan::Plan;
use crate::domain::rotation::Rotation;

/// Where an event stands in the journal, and who made it happen.
pub struct Place<'a> {
    pub rotation: RotationId,
    pub sequence: u64,
    pub at: Timestamp,
    pub credential: &'a CredentialName,
    pub workspace: &'a WorkspaceName,
    pub actor: &'a Actor,
    pub key: Option<&'a KeyId>,
}

impl Act {
    /// The record of an event: every event has one. `written` is the event as the journal has it.
    #[must_use]
    pub fn of_event(place: &Place<'_>, event: &Event, written: &str) -> Self {
        let mut details = object(details(event));
        details.insert("entry".to_owned(), Value::from(place.sequence));
        // With it, nothing of the event itself can be changed unseen, nor added to it that nobody would understand.
        details.insert("entry_sha256".to_owned(), Value::from(Hash::of(written.as_bytes()).as_str()));
        if let Some(key) = place.key {
            details.insert("key".to_owned(), Value::from(key.as_str()));
        }
        Self {
            at: place.at,
            actor: place.actor.clone(),
            what: event.kind().as_in(written).to_owned(),
            credential: Some(place.credential.clone()),
            workspace: Some(place.workspace.clone()),
            rotation: Some(place.rotation),
            details,
        }
    }
}

/// Of which key an event tells, the rotation being as it was before; `None` if of none, or of several.
#[must_use]
pub fn key(plan: &Plan, before: Option<&Rotation>, event: &Event) -> Option<KeyId> {
    let new = || before.and_then(Rotation::successor).map(|new| new.key.clone());
    match event {
        Event::Minted { key, .. } => Some(key.clone()),
        Event::Begun(_)
        | Event::Released { .. }
        | Event::ReleaseWithdrawn { .. }
        | Event::OldKeyDisabled
        | Event::QuarantinePassed
        | Event::Alarmed { .. }
        | Event::ExpiryIntended { .. }
        | Event::ExpirySettled { .. }
        | Event::Escalated { .. }
        | Event::OldKeyGone
        | Event::OldKeyEnabled
        | Event::Confirmed { .. }
        | Event::Restored { .. } => plan.old.clone(),
        Event::Staged { .. }
        | Event::ValueLost
        | Event::Verified { .. }
        | Event::VerificationFailed { .. }
        | Event::Promoted { .. }
        | Event::DestinationChanged { .. }
        | Event::RollbackBegun { .. }
        | Event::ReturnPassed
        | Event::NewKeyGone
        | Event::Discarded
        | Event::OverwriteRequested { .. } => new(),
        Event::MintIntended { .. }
        | Event::MintRefused { .. }
        | Event::MintOutcomeUnknown { .. }
        | Event::LostKeySettled { .. }
        | Event::ClockAgreed
        | Event::EffectFailed { .. }
        | Event::Parked { .. }
        | Event::Retried { .. }
        | Event::AbortRequested { .. }
        | Event::TermsRevised { .. } => None,
    }
}

fn details(event: &Event) -> Value {
    match event {
        Event::Begun(plan) => begun(plan),
        Event::MintIntended { request, .. } => json!({
            "permissions": request.attributes.permissions.to_string(),
            "expires_at": request.expires_at,
        }),
        Event::Minted { fingerprint, .. } => json!({ "fingerprint": fingerprint }),
        Event::MintRefused { failure } => {
            json!({ "why": failure.to_string(), "request_id": failure.request_id })
        }
        Event::MintOutcomeUnknown { cause } => json!({ "why": cause }),
        Event::LostKeySettled { deleted } => json!({ "deleted_keys": deleted }),
        Event::Staged { destination, version, .. } | Event::Restored { destination, version } => {
            json!({ "destination": destination, "version": version })
        }
        Event::Promoted { destination, displaced } => {
            json!({ "destination": destination, "displaced": displaced })
        }
        Event::DestinationChanged { destination } => json!({ "destination": destination }),
        Event::Verified { facts } => {
            json!({ "expires_at": facts.expires_at, "created_at": facts.created_at })
        }
        Event::VerificationFailed { why } => json!({ "why": why }),
        Event::Released { verdicts, forced } => json!({ "forced": forced, "gates": gates(verdicts) }),
        Event::ReleaseWithdrawn { verdicts } => json!({ "gates": gates(verdicts) }),
        Event::Alarmed { alarm } => json!({ "kind": alarm.kind, "why": alarm.detail }),
        Event::ExpiryIntended { at, original } => json!({ "expires_at": at, "original": original }),
        Event::ExpirySettled { at, in_force } => json!({ "expires_at": at, "in_force": in_force }),
        Event::Escalated { why, since } => json!({ "why": why, "since": since }),
        Event::RollbackBegun { cause } => json!({ "cause": cause }),
        Event::EffectFailed { effect, failure } => json!({
            "effect": effect,
            "kind": failure.kind.label(),
            "why": failure.message,
            "request_id": failure.request_id,
        }),
        Event::Parked { reason, detail } => json!({ "reason": reason.label(), "why": detail }),
        Event::Retried { overwrite, restore } if restore.is_empty() => json!({ "overwrite": overwrite }),
        Event::Retried { overwrite, restore } => json!({ "overwrite": overwrite, "restore": restore }),
        Event::OverwriteRequested { destinations } => {
            json!({ "destinations": destinations.iter().map(|(index, _)| index).collect::<Vec<_>>() })
        }
        Event::AbortRequested { by } => json!({ "asked_by": by }),
        Event::Confirmed { by } => json!({ "confirmed_by": by }),
        Event::TermsRevised { terms } => json!({
            "at_least_seconds": terms.at_least.as_secs(),
            "at_most_seconds": terms.at_most.as_secs(),
            "quarantine_seconds": terms.quarantine.as_secs(),
        }),
        Event::ValueLost
        | Event::OldKeyDisabled
        | Event::ClockAgreed
        | Event::QuarantinePassed
        | Event::OldKeyGone
        | Event::OldKeyEnabled
        | Event::ReturnPassed
        | Event::NewKeyGone
        | Event::Discarded => Value::Null,
    }
}

fn begun(plan: &Plan) -> Value {
    json!({
        "reason": plan.reason.label(),
        "emergency": plan.emergency,
        "why": plan.urgency.as_ref().map(|urgency| &urgency.why),
        "service_account": plan.account,
        "destinations": plan.destinations.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

/// Each gate with its reason.
fn gates(verdicts: &[Verdict]) -> Vec<Value> {
    let told = |it: &Verdict| json!({ "gate": it.gate.label(), "open": it.satisfied, "grounds": it.reason });
    verdicts.iter().map(told).collect()
}
