//! A rotation's journal as lines for a person.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::event::Event;
use crate::domain::gate::Verdict;
use crate::domain::ids::{CredentialName, RotationId};
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
    pub rotations: Vec<Story>,
}

/// One rotation, from its beginning to where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Story {
    pub rotation: RotationId,
    pub reason: Option<Reason>,
    pub begun_at: Option<Timestamp>,
    /// When it was over; `None` while it is under way.
    pub ended_at: Option<Timestamp>,
    /// Where it stands; `None` if its history is damaged.
    pub phase: Option<PhaseName>,
    pub damage: Option<String>,
    /// For an emergency: why, and since when that was known.
    pub urgency: Option<Urgency>,
    /// How long it took from then until the new key was current and the old one dead.
    pub answered_in_seconds: Option<i64>,
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Line {
    pub sequence: u64,
    pub at: Timestamp,
    pub event: &'static str,
    pub text: String,
}

impl HistoryReport {
    #[must_use]
    pub fn new(credential: CredentialName, rotations: Vec<Story>) -> Self {
        Self { schema_version: SCHEMA_VERSION, credential, rotations }
    }
}

impl Story {
    /// A rotation whose rows in the journal are damaged: nothing else of it is known.
    #[must_use]
    pub fn damaged(rotation: RotationId, damage: String) -> Self {
        Self { damage: Some(damage), ..Self::tell(rotation, &[]) }
    }

    /// Tells the events of one rotation, in their order.
    #[must_use]
    pub fn tell(rotation: RotationId, events: &[(Timestamp, Event)]) -> Self {
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
        let lines = (0..).zip(events).map(|(sequence, (at, event))| Line {
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
            answered_in_seconds: answered_in.map(|it| it.as_secs()),
            lines: lines.collect(),
        }
    }
}

fn text(event: &Event, places: &[Destination]) -> String {
    let place = |index: &usize| {
        places.get(*index).map_or_else(|| format!("destination {index}"), ToString::to_string)
    };
    match event {
        Event::Begun(plan) => beginning(plan),
        Event::MintIntended { .. } => "everything is reachable; a new key is about to be created".to_owned(),
        Event::Minted { key, fingerprint } => format!("created key {key}, fingerprint {fingerprint}"),
        Event::MintRefused { failure } => format!("no key was created: {failure}"),
        Event::MintDoubted { cause } => format!("a key may have been created and lost: {cause}"),
        Event::LostKeySettled { deleted } => match deleted.as_slice() {
            [] => "no key was lost".to_owned(),
            keys => {
                let keys: Vec<&str> = keys.iter().map(|key| key.as_str()).collect();
                format!("deleted the lost key {}", keys.join(", "))
            }
        },
        Event::Staged { destination, version, .. } => {
            format!("staged in {} as version {version}", place(destination))
        }
        Event::ValueLost => "the value is lost; the new key will be deleted".to_owned(),
        Event::Verified { .. } => "the new key works and grants the same".to_owned(),
        Event::VerificationFailed { why } => format!("the new key must not be used: {why}"),
        Event::Promoted { destination, displaced } => match displaced {
            Some(displaced) => format!("current in {}, in place of version {displaced}", place(destination)),
            None => format!("current in {}", place(destination)),
        },
        Event::DestinationChanged { destination } => {
            format!("somebody else changed {}; staging again", place(destination))
        }
        Event::Released { verdicts, forced } => {
            let how =
                if *forced { "the policy's deadline overruled the gates" } else { "every gate is open" };
            format!("the old key may be disabled: {how}{}", grounds(verdicts))
        }
        Event::ReleaseWithdrawn { verdicts } => format!("a gate shut again{}", grounds(verdicts)),
        Event::OldKeyDisabled => "disabled the old key".to_owned(),
        Event::ClockAgreed => "the provider's clock agrees with ours: counting begins".to_owned(),
        Event::QuarantinePassed => "the quarantine passed".to_owned(),
        Event::Alarmed { alarm } => format!("the old key is needed again: {}", alarm.detail),
        Event::ExpiryIntended { at, .. } => format!("the provider is told to let the old key expire at {at}"),
        Event::ExpirySettled { at, in_force: true } => format!("the old key expires by itself at {at}"),
        Event::ExpirySettled { in_force: false, .. } => {
            "the old key's expiry is left as it is: this workspace cannot set it, or it comes soon enough"
                .to_owned()
        }
        Event::Escalated { why, .. } => format!("an emergency from here on: {why}"),
        Event::OldKeyGone => "deleted the old key and saw it gone".to_owned(),
        Event::RollbackBegun { cause } => format!("rolling back: {}", because(*cause)),
        Event::OldKeyEnabled => "enabled the old key again".to_owned(),
        Event::Restored { destination, version } => {
            format!("version {version} is current again in {}", place(destination))
        }
        Event::ReturnPassed => "the consumers had their time to return".to_owned(),
        Event::NewKeyGone => "deleted the new key and saw it gone".to_owned(),
        Event::Discarded => "discarded the new key".to_owned(),
        Event::EffectFailed { effect, failure } => format!("{} failed: {failure}", doing(*effect)),
        Event::Parked { reason, detail } => format!("needs an operator: {}: {detail}", reason.label()),
        Event::Retried { overwrite } => {
            format!("an operator retries{}", if *overwrite { "; foreign values may be replaced" } else { "" })
        }
        Event::OverwriteRequested { destinations } => {
            let places: Vec<String> = destinations.iter().map(|(index, _)| place(index)).collect();
            format!("an operator has {} published to again, over what is there", places.join(", "))
        }
        Event::AbortRequested { by } => format!("abort asked by {by}"),
        Event::TermsRevised { .. } => "the policy changed its terms".to_owned(),
    }
}

fn because(cause: RollbackCause) -> &'static str {
    match cause {
        RollbackCause::Operator => "an operator asked",
        RollbackCause::Deadline => "the consumers did not switch in time",
        RollbackCause::Leak => "the new key is in wrong hands",
    }
}

fn beginning(plan: &Plan) -> String {
    let why = plan.urgency.as_ref().map(|it| format!(", an emergency: {}", it.why));
    let (reason, why) = (plan.reason.label(), why.unwrap_or_default());
    match &plan.old {
        Some(old) => format!("begun ({reason}) to replace key {old}{why}"),
        None => format!("begun ({reason}){why}"),
    }
}

fn grounds(verdicts: &[Verdict]) -> String {
    verdicts.iter().map(|verdict| format!("; {}: {}", verdict.gate.label(), verdict.grounds)).collect()
}
