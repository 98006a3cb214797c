//! What holds a credential's next step back, and until when, in words that follow what the step is.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ids::WorkspaceName;
use crate::domain::mint_budget;
use crate::domain::phase::PhaseName;
use crate::domain::policy::{Credential, WorkspaceLimits};
use crate::domain::record::Record;
use crate::domain::report::blocked::Blocked;
use crate::domain::report::{CredentialHealth, CredentialReport, RotationReport};
use crate::domain::rotation::Rotation;
use crate::domain::schedule::StartDecision;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HeldBack {
    pub by: Blocked,
    /// Which step, and what holds it back: a sentence.
    pub why: String,
    /// When that ends; `null` if nobody knows, or if an operator has to lift it.
    pub until: Option<Timestamp>,
    /// Whether nothing else is waited for.
    #[serde(skip)]
    pub alone: bool,
}

/// The state of a workspace beside its credentials.
#[derive(Debug, Clone, Default)]
pub struct WorkspaceState {
    /// Until when the mint budget is used up for what is no emergency, and for what is one.
    pub mints_from: Option<Timestamp>,
    pub emergency_mints_from: Option<Timestamp>,
    pub silent_until: Option<Timestamp>,
    /// Why its newest listing failed, and since when none has succeeded: a sentence.
    pub failing: Option<String>,
    /// The daemon has not listed it yet.
    pub unlisted: bool,
}

impl WorkspaceState {
    /// Takes in when keys were created within the last hour, or may have been.
    pub fn count_mints(&mut self, limits: &WorkspaceLimits, mints: &[Timestamp], now: Timestamp) {
        self.mints_from = mint_budget::used_up_until(limits, mints, false, now);
        self.emergency_mints_from = mint_budget::used_up_until(limits, mints, true, now);
    }
}

/// What the credential itself, its schedule and the freezes hold back.
pub(super) fn by_itself(
    record: &Record,
    rotation: Option<(&Rotation, &RotationReport)>,
    policy: Option<&Credential>,
    blocked: Option<Blocked>,
    now: Timestamp,
) -> Option<HeldBack> {
    match rotation {
        Some((rotation, report)) => frozen(rotation, report, policy?, now),
        None => not_begun(record, policy, blocked?, now),
    }
}

fn not_begun(record: &Record, policy: Option<&Credential>, by: Blocked, now: Timestamp) -> Option<HeldBack> {
    let held = |until: Timestamp, why: String| {
        Some(HeldBack { by, why, until: Some(until).filter(|until| *until != Timestamp::MAX), alone: true })
    };
    match by {
        Blocked::Backoff => {
            let until = record.not_before();
            let last = record.last.as_ref().and_then(|last| last.why.as_ref());
            let last = last.map(|why| format!(" ({why})")).unwrap_or_default();
            let outcome = match record.aborts {
                1 => format!("the last rotation was aborted{last}"),
                aborts => format!("the last {aborts} rotations were aborted{last}"),
            };
            held(until, format!("{outcome}; the next one begins at {until:.0}"))
        }
        Blocked::Freeze => {
            let freeze = policy?.schedule.freeze(now)?;
            let ends = freeze.until;
            let why = format!("the rotation begins when the freeze `{}` ends, at {ends:.0}", freeze.name);
            let keeps = record.why_now(policy?, now).is_some_and(|reason| reason.keeps_to_the_window());
            match policy?.schedule.admits(now) {
                StartDecision::Closed { until, .. } if keeps && until > ends => {
                    held(until, format!("{why}, and the window opens, {}", instant(until)))
                }
                StartDecision::Closed { .. } | StartDecision::Open => held(ends, why),
            }
        }
        Blocked::Window => {
            let StartDecision::Closed { until, .. } = policy?.schedule.admits(now) else { return None };
            held(until, format!("the rotation begins when the window opens, {}", instant(until)))
        }
        Blocked::Obstacle
        | Blocked::Operator
        | Blocked::Breaker
        | Blocked::Wave
        | Blocked::RotationSlot
        | Blocked::FirstRotations
        | Blocked::EmergencyCap
        | Blocked::MintBudget
        | Blocked::Silence => None,
    }
}

fn instant(at: Timestamp) -> String {
    if at == Timestamp::MAX { "which is never".to_owned() } else { format!("at {at:.0}") }
}

/// A freeze lets no key be disabled or deleted.
fn frozen(
    rotation: &Rotation,
    report: &RotationReport,
    policy: &Credential,
    now: Timestamp,
) -> Option<HeldBack> {
    if rotation.is_urgent() || report.last_failure.is_some() {
        return None;
    }
    let step = match report.phase {
        PhaseName::Overlap | PhaseName::Disabling => "the old key is disabled",
        PhaseName::Quarantine | PhaseName::Revoking => "the old key is deleted",
        PhaseName::Returning | PhaseName::Withdrawing => "the new key is deleted",
        PhaseName::Due
        | PhaseName::Minting
        | PhaseName::Staging
        | PhaseName::Verifying
        | PhaseName::Promoting
        | PhaseName::Reinstating
        | PhaseName::Discarding
        | PhaseName::RollingBack
        | PhaseName::Parked
        | PhaseName::Done
        | PhaseName::Aborted
        | PhaseName::RolledBack => return None,
    };
    let freeze = policy.schedule.freeze(now)?;
    if report.waits_until.is_some_and(|until| until >= freeze.until) {
        return None;
    }
    let is_waiting = report.waits_until.is_some_and(|until| until > now)
        || report.gates.iter().any(|gate| !gate.satisfied)
        || report.phase == PhaseName::Returning;
    Some(HeldBack {
        by: Blocked::Freeze,
        why: format!("{step} only after the freeze `{}` ends, at {:.0}", freeze.name, freeze.until),
        until: Some(freeze.until).filter(|until| *until != Timestamp::MAX),
        alone: !is_waiting,
    })
}

impl CredentialReport {
    /// Adds what the workspace holds back.
    pub(super) fn apply_workspace(&mut self, name: &WorkspaceName, state: &WorkspaceState, now: Timestamp) {
        if self.rotation.is_none() {
            return self.apply_reach(name, state);
        }
        if self.held_back.as_ref().is_some_and(|held| held.alone) || self.needs_a_person() {
            return;
        }
        let Some(held) = self.budget(name, state).or_else(|| self.silence(name, state)) else { return };
        if held.until.is_some_and(|until| until <= now) {
            return;
        }
        self.hold_back(held);
    }

    fn needs_a_person(&self) -> bool {
        self.rotation.as_ref().is_some_and(|rotation| rotation.parked.is_some()) || self.damage.is_some()
    }

    fn budget(&self, name: &WorkspaceName, state: &WorkspaceState) -> Option<HeldBack> {
        let rotation = self.rotation.as_ref().filter(|rotation| rotation.phase == PhaseName::Due)?;
        let (until, but) = if rotation.emergency {
            (state.emergency_mints_from?, "")
        } else {
            (state.mints_from?, ", but for the reserve for emergencies")
        };
        let why = format!(
            "its key is created at {until:.0} at the earliest: the mint budget of workspace `{name}` (`mints_per_hour`) is used up{but}"
        );
        Some(HeldBack { by: Blocked::MintBudget, why, until: Some(until), alone: true })
    }

    fn silence(&self, name: &WorkspaceName, state: &WorkspaceState) -> Option<HeldBack> {
        let until = state.silent_until.filter(|_| self.calls_the_provider)?;
        let why = format!(
            "nothing that calls ElevenLabs goes on before {until:.0}: it asked for no calls of workspace `{name}` until then"
        );
        Some(HeldBack { by: Blocked::Silence, why, until: Some(until), alone: true })
    }

    /// A credential is fine only if its key was seen alive.
    fn apply_reach(&mut self, name: &WorkspaceName, state: &WorkspaceState) {
        if self.health != CredentialHealth::Fine {
            return;
        }
        if let Some(why) = &state.failing {
            self.health = CredentialHealth::OutOfSync;
            self.summary = format!("its key cannot be looked at: {why}");
            self.next_command = Some("rekeyd doctor".to_owned());
        } else if state.unlisted {
            self.health = CredentialHealth::Waiting;
            self.summary = format!("{}; workspace `{name}` has not been listed yet", self.summary);
        }
    }

    /// What holds the next step back, said after what the step is.
    pub(super) fn hold_back(&mut self, held: HeldBack) {
        self.summary = format!("{}; {}", self.summary, held.why);
        if held.alone {
            self.health = self.health.max(CredentialHealth::Waiting);
            self.blocked = self.blocked.or(Some(held.by));
        }
        self.held_back.get_or_insert(held);
    }
}
