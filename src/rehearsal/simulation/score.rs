//! Reads the log of a simulation as it goes, and judges what became of each credential.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::adapters::memory::journal::MemoryJournal;
use crate::domain::event::Event;
use crate::domain::ids::{CredentialName, RotationId, StoreName};
use crate::domain::phase::{Phase, PhaseName};
use crate::domain::policy::Policy;
use crate::domain::rotation::Rotation;
use crate::domain::step;
use crate::ports::journal::{Entry, HoldRegister as _};
use crate::ports::store_kind::VersionQuota;
use crate::rehearsal::call_log::{Call, LogLine};
use crate::rehearsal::consumers::Consumers;
use crate::rehearsal::dry_run::Past;
use crate::rehearsal::simulation::promises::Promises;
use crate::rehearsal::simulation::report::{SimulatedRotation, SimulationReport, TimelineEvent, Violation};

/// Beyond that it is known that the policy cannot be kept.
const VIOLATIONS_MAX: usize = 1000;

pub(super) struct Score<'a> {
    report: SimulationReport,
    promises: Promises<'a>,
    /// Rotations under way, with their places in the report: one that began before the simulation has none.
    rotations: BTreeMap<RotationId, (Option<usize>, Rotation)>,
    /// Each violation is reported once.
    reported: BTreeSet<(CredentialName, String)>,
    until: Timestamp,
}

impl<'a> Score<'a> {
    pub(super) fn new(
        policy: &'a Policy,
        quotas: &'a BTreeMap<StoreName, VersionQuota>,
        pasts: &BTreeMap<CredentialName, Past>,
        from: Timestamp,
        until: Timestamp,
    ) -> Self {
        let under_way = pasts.values().filter_map(|past| past.known.as_ref()?.rotation.clone());
        let under_way = under_way.filter(|it| policy.credentials.contains_key(&it.plan.credential));
        Self {
            report: SimulationReport::default(),
            promises: Promises::new(policy, quotas, pasts, from),
            rotations: under_way.map(|rotation| (rotation.plan.rotation, (None, rotation))).collect(),
            reported: BTreeSet::new(),
            until,
        }
    }

    pub(super) fn crashed(&mut self) {
        self.report.crashes += 1;
    }

    /// How many rotations have begun.
    pub(super) fn begun(&self) -> usize {
        self.report.rotations.len()
    }

    /// Whether a rotation that began in time is under way.
    pub(super) fn is_any_under_way(&self) -> bool {
        self.rotations.values().any(|(_, it)| !matches!(it.phase, Phase::Parked { .. }))
    }

    pub(super) fn is_rotating(&self, credential: &CredentialName) -> bool {
        self.rotations.values().any(|(_, it)| it.plan.credential == *credential)
    }

    /// Nothing is played from `at` on; `whole` if that is the end that was asked for.
    pub(super) fn finish(mut self, at: Timestamp, whole: bool) -> SimulationReport {
        self.promises.close(at.min(self.until));
        self.take_violations();
        self.report.complete_until = (!whole).then_some(at);
        self.report
    }

    pub(super) fn read(&mut self, lines: Vec<LogLine>) {
        for line in lines {
            match line {
                LogLine::Called(_, call) => {
                    let whom = match call {
                        Call::Provider { workspace, .. } => format!("workspace {workspace}"),
                        Call::Store { destination, .. } => format!("store {}", destination.store),
                        Call::Consumer { .. } => "consumers".to_owned(),
                    };
                    *self.report.calls.entry(whom).or_default() += 1;
                }
                LogLine::Journalled(entry) => self.journalled(&entry),
            }
        }
    }

    fn journalled(&mut self, entry: &Entry) {
        let at = entry.at;
        let begun = if let Event::Begun(plan) = &entry.event {
            // What begins after the end is none of this simulation's.
            if at > self.until {
                return;
            }
            Some(Rotation::begin(plan.as_ref().clone()))
        } else {
            None
        };
        let (index, rotation) = match (begun, self.rotations.remove(&entry.rotation)) {
            (Some(begun), _) => {
                self.report.rotations.push(SimulatedRotation {
                    rotation: entry.rotation,
                    credential: begun.plan.credential.clone(),
                    reason: begun.plan.reason,
                    due: at,
                    held_by: None,
                    begun_at: at,
                    ended_at: None,
                    phase: PhaseName::Due,
                    age: SignedDuration::ZERO,
                    timeline: Vec::new(),
                });
                (Some(self.report.rotations.len() - 1), begun)
            }
            (None, Some((index, before))) => match step::step(&before, &entry.event, at) {
                Ok(next) => (index, next),
                Err(_) => return,
            },
            (None, None) => return,
        };
        let mut told = index.and_then(|index| self.report.rotations.get_mut(index));
        if let Some(told) = &mut told {
            told.timeline.push(TimelineEvent { at, event: entry.event.name() });
            told.phase = rotation.phase.name();
            told.ended_at = rotation.is_over().then_some(at);
        }
        self.promises.follow(&rotation, &entry.event, at, told);
        if !rotation.is_over() {
            self.rotations.insert(entry.rotation, (index, rotation));
        }
    }

    fn take_violations(&mut self) {
        for Violation { credential, at, why } in self.promises.take() {
            self.violated(credential, at, why);
        }
    }

    /// Looks for what should not be.
    pub(super) async fn judge(
        &mut self,
        journal: &MemoryJournal,
        consumers: &Consumers,
        now: Timestamp,
    ) -> Result<(), String> {
        if now > self.until {
            return Ok(());
        }
        let obstacles = journal.with_records(|records| {
            self.promises.judge(records, now);
            let obstacles = records.iter().filter_map(|(name, record)| {
                let obstacle = record.obstacle.as_ref()?;
                Some((name.clone(), format!("blocked: {}", obstacle.detail)))
            });
            obstacles.collect::<Vec<_>>()
        });
        self.take_violations();
        for harmed in consumers.harmed() {
            let why = format!("{} holds a key that the provider refuses", harmed.consumer);
            self.violated(harmed.credential, harmed.at, why);
        }
        let stuck = self.rotations.values();
        let stuck = stuck.filter_map(|(_, it)| Some((it.plan.credential.clone(), stuck_because(it, now)?)));
        for (credential, why) in obstacles.into_iter().chain(stuck.collect::<Vec<_>>()) {
            self.violated(credential, now, why);
        }
        let holds = journal.holds().await.map_err(|error| error.to_string())?;
        for hold in holds {
            let Some(name) = self.report.rotations.last().map(|it| it.credential.clone()) else { continue };
            self.violated(name, now, format!("a breaker has tripped: {hold}"));
        }
        Ok(())
    }

    fn violated(&mut self, credential: CredentialName, at: Timestamp, why: String) {
        if self.reported.len() < VIOLATIONS_MAX && self.reported.insert((credential.clone(), why.clone())) {
            self.report.violations.push(Violation { credential, at, why });
        }
    }
}

/// Why a rotation does not go on as it should.
fn stuck_because(rotation: &Rotation, now: Timestamp) -> Option<String> {
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
