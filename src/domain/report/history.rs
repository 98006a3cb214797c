//! A rotation's journal as readable lines.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::event::Event;
use crate::domain::gate::Verdict;
use crate::domain::ids::{CredentialName, KeyId, RotationId};
use crate::domain::phase::PhaseName;
use crate::domain::plan::{Destination, Plan, Reason, Urgency};
use crate::domain::report::SCHEMA_VERSION;
use crate::domain::report::advice::doing;
use crate::domain::rotation::{RollbackCause, Rotation};

/// A credential's rotations, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HistoryReport {
    pub schema_version: u32,
    pub credential: CredentialName,
    pub rotations: Vec<RotationTimeline>,
}

/// One rotation from its start to its current phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RotationTimeline {
    pub rotation: RotationId,
    pub reason: Option<Reason>,
    pub begun_at: Option<Timestamp>,
    /// When it ended; `None` while it is in progress.
    pub ended_at: Option<Timestamp>,
    /// Its current or last phase; `None` if its journal rows are damaged.
    pub phase: Option<PhaseName>,
    pub damage: Option<String>,
    /// For an emergency: why it is one, and since when that is known.
    pub urgency: Option<Urgency>,
    /// For an emergency: how long it took until the new key was current and the old one revoked.
    pub resolved_in_seconds: Option<i64>,
    pub lines: Vec<TimelineEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TimelineEntry {
    pub sequence: u64,
    pub at: Timestamp,
    pub event: &'static str,
    pub text: String,
}

impl HistoryReport {
    #[must_use]
    pub fn new(credential: CredentialName, rotations: Vec<RotationTimeline>) -> Self {
        Self { schema_version: SCHEMA_VERSION, credential, rotations }
    }
}

impl RotationTimeline {
    /// A rotation whose journal rows are damaged: nothing else of it is known.
    #[must_use]
    pub fn damaged(rotation: RotationId, damage: String) -> Self {
        Self { damage: Some(damage), ..Self::new(rotation, &[]) }
    }

    /// Builds the timeline from the events of one rotation, in their order.
    #[must_use]
    pub fn new(rotation: RotationId, events: &[(Timestamp, Event)]) -> Self {
        let plan = match events.first() {
            Some((_, Event::Begun(plan))) => Some(plan),
            Some(_) | None => None,
        };
        let folded = Rotation::fold(events.iter().cloned());
        let urgency = folded.as_ref().ok().and_then(|folded| folded.plan.urgency.clone());
        let is_done = folded.as_ref().is_ok_and(|it| it.phase.name() == PhaseName::Done);
        let done_at = events.last().filter(|_| is_done).map(|(at, _)| *at);
        let answered_in = done_at.zip(urgency.as_ref()).map(|(at, it)| at.duration_since(it.since));
        let over = folded.as_ref().is_ok_and(Rotation::is_over);
        let places = plan.map_or(&[][..], |plan| plan.destinations.as_slice());
        let lines = (0..).zip(events).map(|(sequence, (at, event))| TimelineEntry {
            sequence,
            at: *at,
            event: event.name(),
            text: text(event, places),
        });
        Self {
            rotation,
            reason: plan.map(|plan| plan.reason),
            begun_at: plan.map(|plan| plan.begun_at),
            ended_at: events.last().filter(|_| over).map(|(at, _)| *at),
            phase: folded.as_ref().ok().map(|folded| folded.phase.name()),
            damage: folded.err().map(|history| history.to_string()),
            urgency,
            resolved_in_seconds: answered_in.map(|it| it.as_secs()),
            lines: lines.collect(),
        }
    }
}

fn text(event: &Event, places: &[Destination]) -> String {
    let place = |index: &usize| {
        places.get(*index).map_or_else(|| format!("destination {index}"), ToString::to_string)
    };
    match event {
        Event::Begun(plan) => start(plan),
        Event::MintIntended { .. } => "preflight passed; creating a new key".to_owned(),
        Event::Minted { key, fingerprint } => format!("created key {key}, fingerprint {fingerprint}"),
        Event::MintRefused { failure } => format!("the provider refused to create a key: {failure}"),
        Event::MintOutcomeUnknown { cause } => {
            format!("a key may have been created, and its value lost: {cause}")
        }
        Event::LostKeySettled { deleted } => settled(deleted),
        Event::Staged { destination, version, .. } => {
            format!("staged in {} as version {version}", place(destination))
        }
        Event::ValueLost => "the new key's value is lost; the key will be deleted".to_owned(),
        Event::Verified { .. } => "verified: the new key works, with the same permissions".to_owned(),
        Event::VerificationFailed { why } => format!("the new key failed verification: {why}"),
        Event::Promoted { destination, displaced } => match displaced {
            Some(displaced) => format!("promoted in {}, replacing version {displaced}", place(destination)),
            None => format!("promoted in {}", place(destination)),
        },
        Event::DestinationChanged { destination } => {
            format!("another writer changed {}; staging again", place(destination))
        }
        Event::Released { verdicts, forced } => {
            let how =
                if *forced { "the deadline of the policy has passed" } else { "every gate is satisfied" };
            format!("the old key may be disabled: {how}{}", reason(verdicts))
        }
        Event::ReleaseWithdrawn { verdicts } => format!("a gate is waiting again{}", reason(verdicts)),
        Event::OldKeyDisabled => "disabled the old key".to_owned(),
        Event::ClockAgreed => "the provider's clock agrees with this machine's; the wait starts".to_owned(),
        Event::QuarantinePassed => "the quarantine has ended".to_owned(),
        Event::Alarmed { alarm } => format!("the old key is still needed: {}", alarm.detail),
        Event::ExpiryIntended { at, .. } => format!("setting the old key's expiry to {at:.0}"),
        Event::ExpirySettled { at, in_force: true } => format!("the old key expires at {at:.0}"),
        Event::ExpirySettled { in_force: false, .. } => "the old key's expiry is unchanged".to_owned(),
        Event::Escalated { why, .. } => format!("escalated to an emergency: {why}"),
        Event::OldKeyGone => "deleted the old key, and confirmed it".to_owned(),
        Event::RollbackBegun { cause } => format!("rolling back: {}", because(*cause)),
        Event::OldKeyEnabled => "re-enabled the old key".to_owned(),
        Event::Restored { destination, version } => {
            format!("version {version} is current again in {}", place(destination))
        }
        Event::ReturnPassed => "the consumers' time to switch back has passed".to_owned(),
        Event::NewKeyGone => "deleted the new key, and confirmed it".to_owned(),
        Event::Discarded => "discarded the new key".to_owned(),
        Event::EffectFailed { effect, failure } => {
            format!("{} failed, will retry: {failure}", doing(*effect))
        }
        Event::Parked { reason, detail } => {
            format!("parked, needs an operator: {}: {detail}", reason.label())
        }
        Event::Retried { overwrite, restore } => {
            retried(*overwrite, &restore.iter().map(place).collect::<Vec<_>>())
        }
        Event::OverwriteRequested { destinations } => {
            let places: Vec<String> = destinations.iter().map(|(index, _)| place(index)).collect();
            format!("republishing to {} by an operator's request, over the current value", places.join(", "))
        }
        Event::AbortRequested { by } => format!("abort requested by {by}"),
        Event::Confirmed { by } => format!("confirmed by {by}: consumers use the new key"),
        Event::TermsRevised { .. } => "the rotation's terms were updated from the policy".to_owned(),
    }
}

fn retried(overwrite: bool, restored: &[String]) -> String {
    match (overwrite, restored) {
        (false, _) => "retried by an operator".to_owned(),
        (true, []) => "retried by an operator; foreign values may be overwritten".to_owned(),
        (true, places) => {
            format!("restoring the old key in {} once more, by an operator's request", places.join(", "))
        }
    }
}

fn settled(deleted: &[KeyId]) -> String {
    if deleted.is_empty() {
        return "no orphaned key was found".to_owned();
    }
    let keys: Vec<&str> = deleted.iter().map(KeyId::as_str).collect();
    format!("deleted the orphaned key {}", keys.join(", "))
}

fn because(cause: RollbackCause) -> &'static str {
    match cause {
        RollbackCause::Operator => "requested by an operator",
        RollbackCause::Deadline => "the consumers did not switch in time",
        RollbackCause::Leak => "the new key has leaked",
        RollbackCause::NoKeyLeft => "neither key is of use any more, and both are replaced",
    }
}

fn start(plan: &Plan) -> String {
    let why = plan.urgency.as_ref().map(|it| format!(", an emergency: {}", it.why));
    let (reason, why) = (plan.reason.label(), why.unwrap_or_default());
    match &plan.old {
        Some(old) => format!("started ({reason}) to replace key {old}{why}"),
        None => format!("started ({reason}){why}"),
    }
}

fn reason(verdicts: &[Verdict]) -> String {
    verdicts.iter().map(|verdict| format!("; {}: {}", verdict.gate.label(), verdict.reason)).collect()
}
