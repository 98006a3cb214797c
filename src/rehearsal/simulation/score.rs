//! What became of everybody in a season: each rotation, the calls that it took, and everything that went wrong.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use crate::adapters::memory::journal::MemoryJournal;
use crate::domain::event::Event;
use crate::domain::forecast::quotas::VersionQuota;
use crate::domain::ids::{CredentialName, RotationId, StoreName};
use crate::domain::phase::{Phase, PhaseName};
use crate::domain::plan::Reason;
use crate::domain::policy::Policy;
use crate::domain::rotation::Rotation;
use crate::domain::step;
use crate::ports::journal::{Entry, HoldRegister as _, Records as _};
use crate::rehearsal::call_log::{Call, Noted};
use crate::rehearsal::consumers::Consumers;
use crate::rehearsal::simulation::promises::Promises;

/// Beyond that it is known that the policy cannot be kept.
const TROUBLES_MAX: usize = 1000;

/// What a season brought.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Told {
    /// In the order in which they began.
    pub rotations: Vec<Story>,
    /// What the policy promises and could not be kept; of more than a thousand troubles the first.
    pub troubles: Vec<Trouble>,
    /// If there are more rotations than are played: until when they were.
    pub whole_until: Option<Timestamp>,
    /// Calls, by whom they were made to.
    pub calls: BTreeMap<String, u64>,
    /// How often the process died.
    pub crashes: u64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Story {
    pub rotation: RotationId,
    pub credential: CredentialName,
    pub reason: Reason,
    pub begun_at: Timestamp,
    /// `null` while it is under way.
    pub ended_at: Option<Timestamp>,
    pub phase: PhaseName,
    pub timeline: Vec<Line>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub at: Timestamp,
    pub event: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trouble {
    pub credential: CredentialName,
    pub at: Timestamp,
    pub why: String,
}

pub(super) struct Score<'a> {
    told: Told,
    promises: Promises<'a>,
    rotations: BTreeMap<RotationId, (usize, Option<Rotation>)>,
    /// What was told already: once is enough.
    known: BTreeSet<(CredentialName, String)>,
}

impl<'a> Score<'a> {
    pub(super) fn new(
        policy: &'a Policy,
        quotas: &'a BTreeMap<StoreName, VersionQuota>,
        from: Timestamp,
    ) -> Self {
        Self {
            told: Told::default(),
            promises: Promises::new(policy, quotas, from),
            rotations: BTreeMap::new(),
            known: BTreeSet::new(),
        }
    }

    pub(super) fn crashed(&mut self) {
        self.told.crashes += 1;
    }

    /// How many rotations have begun.
    pub(super) fn begun(&self) -> usize {
        self.told.rotations.len()
    }

    /// Nothing is played from `at` on; `whole` if that is the end that was asked for.
    pub(super) fn finish(mut self, at: Timestamp, whole: bool) -> Told {
        self.promises.close(at);
        self.promised();
        self.told.whole_until = (!whole).then_some(at);
        self.told
    }

    pub(super) fn read(&mut self, noted: Vec<Noted>) {
        for noted in noted {
            match noted {
                Noted::Called(_, call) => {
                    let whom = match call {
                        Call::Provider { workspace, .. } => format!("workspace {workspace}"),
                        Call::Store { destination, .. } => format!("store {}", destination.store),
                        Call::Consumer { .. } => "consumers".to_owned(),
                    };
                    *self.told.calls.entry(whom).or_default() += 1;
                }
                Noted::Journalled(entry) => self.journalled(&entry),
            }
        }
    }

    fn journalled(&mut self, entry: &Entry) {
        let line = Line { at: entry.at, event: entry.event.name() };
        if let Event::Begun(plan) = &entry.event {
            let (credential, reason) = (plan.credential.clone(), plan.reason);
            let rotation = Rotation::begin(plan.as_ref().clone());
            self.promises.follow(&rotation, &entry.event, entry.at);
            self.rotations.insert(entry.rotation, (self.told.rotations.len(), Some(rotation)));
            self.told.rotations.push(Story {
                rotation: entry.rotation,
                credential,
                reason,
                begun_at: entry.at,
                ended_at: None,
                phase: PhaseName::Due,
                timeline: vec![line],
            });
            return;
        }
        let Some((index, rotation)) = self.rotations.get_mut(&entry.rotation) else { return };
        let next = rotation.take().and_then(|rotation| step::step(&rotation, &entry.event, entry.at).ok());
        if let (Some(story), Some(next)) = (self.told.rotations.get_mut(*index), &next) {
            story.timeline.push(line);
            story.phase = next.phase.name();
            story.ended_at = next.is_over().then_some(entry.at);
            self.promises.follow(next, &entry.event, entry.at);
        }
        *rotation = next.filter(|next| !next.is_over());
        if rotation.is_none() {
            self.rotations.remove(&entry.rotation);
        }
    }

    fn promised(&mut self) {
        for Trouble { credential, at, why } in self.promises.take() {
            self.trouble(credential, at, why);
        }
    }

    /// Looks for what should not be.
    pub(super) async fn judge(
        &mut self,
        journal: &MemoryJournal,
        consumers: &Consumers,
        now: Timestamp,
    ) -> Result<(), String> {
        self.promises.judge(now);
        self.promised();
        for harmed in consumers.harmed() {
            let why = format!("{} holds a key that the provider refuses", harmed.consumer);
            self.trouble(harmed.credential, harmed.at, why);
        }
        for (name, known) in journal.load().await.map_err(|error| error.to_string())? {
            let known = known.map_err(|error| error.to_string())?;
            if let Some(obstacle) = &known.record.obstacle {
                self.trouble(name.clone(), now, format!("blocked: {}", obstacle.detail));
            }
            let Some(rotation) = &known.rotation else { continue };
            if let Some(why) = stuck(rotation, now) {
                self.trouble(name, now, why);
            }
        }
        let holds = journal.holds().await.map_err(|error| error.to_string())?;
        for hold in holds {
            let Some(name) = self.told.rotations.last().map(|story| story.credential.clone()) else {
                continue;
            };
            self.trouble(name, now, format!("a breaker has tripped: {hold}"));
        }
        Ok(())
    }

    fn trouble(&mut self, credential: CredentialName, at: Timestamp, why: String) {
        if self.known.len() < TROUBLES_MAX && self.known.insert((credential.clone(), why.clone())) {
            self.told.troubles.push(Trouble { credential, at, why });
        }
    }
}

/// Why a rotation does not go on as it should.
fn stuck(rotation: &Rotation, now: Timestamp) -> Option<String> {
    if let Phase::Parked { reason, detail, .. } = &rotation.phase {
        return Some(format!("parked ({}): {detail}", reason.label()));
    }
    let deadline = rotation.overlap_began?.saturating_add(rotation.plan.terms.at_most).ok()?;
    let waits = matches!(rotation.phase, Phase::Overlap(_))
        && now > deadline
        && !rotation.plan.terms.gates.is_empty();
    waits.then(|| {
        let gates: Vec<String> = rotation.plan.terms.gates.iter().map(|gate| gate.describe()).collect();
        format!("the overlap is past its `at_most` and still waits: {}", gates.join(", and "))
    })
}
