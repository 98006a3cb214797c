//! A call log read as steps: what was done, what it waited for, and which calls it took.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::effect::{self, EffectName};
use crate::domain::event::Event;
use crate::domain::gate::Gate;
use crate::domain::plan::{Reason, RevocationPolicy};
use crate::domain::report::advice::doing;
use crate::domain::rotation::Rotation;
use crate::domain::schedule::brief;
use crate::domain::step;
use crate::rehearsal::call_log::{Call, LogLine};

/// One effect, from the event before it to its own.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// `null` for the beginning.
    pub effect: Option<EffectName>,
    /// The effect in words.
    pub doing: &'static str,
    /// What it waits for.
    pub waits_for: Vec<String>,
    pub calls: Vec<Called>,
    /// When it is done.
    pub at: Timestamp,
    /// The event that is journalled then.
    pub event: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Called {
    #[serde(flatten)]
    pub call: Call,
    /// How often in a row; 0 for one that is made again and again while something is waited for.
    pub times: u32,
}

/// Steps, as they are read.
pub(super) struct Steps {
    rotation: Option<Rotation>,
    done: Vec<Step>,
    calls: Vec<(Timestamp, Call)>,
    begun_at: Option<Timestamp>,
    reason: Option<Reason>,
    reconciles: u32,
}

impl Steps {
    pub(super) fn new(rotation: Option<Rotation>) -> Self {
        Self { rotation, done: Vec::new(), calls: Vec::new(), begun_at: None, reason: None, reconciles: 0 }
    }

    pub(super) fn reconciles(&self) -> u32 {
        self.reconciles
    }

    pub(super) fn begun_at(&self) -> Option<Timestamp> {
        self.begun_at
    }

    /// Why it begins, as its own plan says.
    pub(super) fn reason(&self) -> Option<Reason> {
        self.reason
    }

    pub(super) fn last_at(&self) -> Option<Timestamp> {
        self.done.last().map(|step| step.at)
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun_at.is_some()
    }

    pub(super) fn finish(self) -> Vec<Step> {
        self.done
    }

    /// What was logged in one more reconcile.
    pub(super) fn read(&mut self, lines: Vec<LogLine>) {
        self.reconciles += 1;
        for line in lines {
            match line {
                LogLine::Called(at, call) => self.called(at, call),
                LogLine::Journalled(entry) => self.journalled(entry.at, &entry.event),
            }
        }
    }

    fn called(&mut self, at: Timestamp, call: Call) {
        // A wait of days may look every minute: it is enough to know which calls that takes.
        let known = self.calls.iter().filter(|(_, known)| *known == call).count();
        if known < 4 || self.calls.last().is_none_or(|(last, _)| *last == at) {
            self.calls.push((at, call));
        } else if let Some(known) = self.calls.iter_mut().rev().find(|(_, known)| *known == call) {
            known.0 = at;
        }
    }

    fn journalled(&mut self, at: Timestamp, event: &Event) {
        let calls = as_listed(std::mem::take(&mut self.calls), at);
        let effect = self.rotation.as_ref().and_then(effect::pending).map(effect::Effect::name);
        let terms = self.rotation.as_ref().map(|rotation| &rotation.plan.terms);
        let waits_for = terms.map(|terms| waits(event, terms));
        let doing = effect.map_or("looking at the service account, and beginning", doing);
        let waits_for = waits_for.unwrap_or_default();
        self.done.push(Step { effect, doing, waits_for, calls, at, event: event.name() });
        self.rotation = match (event, self.rotation.take()) {
            (Event::Begun(plan), _) => {
                self.begun_at = Some(at);
                self.reason = Some(plan.reason);
                Some(Rotation::begin(plan.as_ref().clone()))
            }
            (_, Some(rotation)) => step::step(&rotation, event, at).ok(),
            (_, None) => None,
        };
    }
}

/// What the event waited for, if it had to: by the terms that the engine judges by.
fn waits(event: &Event, terms: &RevocationPolicy) -> Vec<String> {
    if matches!(event, Event::QuarantinePassed) {
        return vec![format!("the quarantine of {}", brief(terms.quarantine))];
    }
    if !matches!(event, Event::Released { .. } | Event::ReturnPassed) {
        return Vec::new();
    }
    let overlap = format!("at least {}", brief(terms.at_least));
    [overlap].into_iter().chain(terms.gates.iter().map(Gate::describe)).collect()
}

/// Those of the last instant in their order; of those before, each once.
fn as_listed(calls: Vec<(Timestamp, Call)>, at: Timestamp) -> Vec<Called> {
    let mut listed: Vec<Called> = Vec::new();
    let (waiting, last): (Vec<_>, Vec<_>) = calls.into_iter().partition(|(of, _)| *of < at);
    for (_, call) in waiting {
        if !listed.iter().any(|known| known.call == call) {
            listed.push(Called { call, times: 0 });
        }
    }
    for (_, call) in last {
        match listed.last_mut() {
            Some(known) if known.call == call && known.times > 0 => known.times += 1,
            Some(_) | None => listed.push(Called { call, times: 1 }),
        }
    }
    listed
}
