//! Checks the invariants after the demo: from what consumers saw, the sandbox's complete state, and the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use comfy_table::{CellAlignment, Table, presets};

use crate::adapters::clock::SystemClock;
use crate::demo::consumer::Tally;
use crate::demo::fixture::Fixture;
use crate::demo::journal_watch::{Error, JournalWatch, Told};
use crate::domain::event::Event;
use crate::domain::phase::{Phase, PhaseName};
use crate::ports::clock::Clock as _;
use crate::sandbox::key::State;
use crate::sandbox::route::Route;
use crate::sandbox::truth::Truth;

/// The figures, and every invariant that was broken.
#[derive(Debug, Default)]
pub struct DemoResult {
    pub requests: u64,
    pub failed: u64,
    pub switches: u64,
    pub acks: u64,
    pub rotations: usize,
    pub minted: usize,
    pub revoked: usize,
    /// Keys that a rotation made, could not use, and deleted.
    pub lost: usize,
    pub orphans: usize,
    pub kills: usize,
    /// One line each, with the invariant's number first.
    pub broken: Vec<String>,
}

impl DemoResult {
    /// Judges a rehearsal that is at rest: the daemon has stopped and no rotation is under way.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn judge(
        stage: &Fixture,
        chronicle: &JournalWatch,
        tallies: &BTreeMap<String, Tally>,
        kills: usize,
    ) -> Result<Self, Error> {
        let (truth, rotations) = (stage.sandbox.truth(), chronicle.rotations()?);
        let mut verdict = Self { kills, ..Self::default() };
        verdict.hear(tallies);
        verdict.serving(stage, &truth);
        verdict.orphans(stage, &truth);
        verdict.finished(stage, &truth, &rotations);
        verdict.minted = truth.keys().filter(|key| key.is_rekeyds()).count();
        Ok(verdict)
    }

    #[must_use]
    pub fn holds(&self) -> bool {
        self.broken.is_empty()
    }

    fn hear(&mut self, tallies: &BTreeMap<String, Tally>) {
        for (name, tally) in tallies {
            self.requests += tally.requests;
            self.failed += tally.failed;
            self.switches += tally.switches;
            self.acks += tally.acks;
            self.broken.extend(tally.failures.iter().map(|failure| format!("I1: {failure}")));
            if tally.requests == 0 {
                self.broken.push(format!("I1 is not proven: {name} never got to use a key"));
            }
        }
    }

    /// What the provider saw of the consumers, and what it would say to them now.
    fn serving(&mut self, stage: &Fixture, truth: &Truth) {
        for key in truth.keys() {
            let refused = key.calls.get(&Route::TextToSpeech).map_or(0, |calls| calls.refused.values().sum());
            if refused > 0 {
                let text = format!("I1: the provider refused {refused} requests with key {}", key.key_id);
                self.broken.push(text);
            }
        }
        let unknown = truth.unknown_key_calls.get(&Route::TextToSpeech).copied().unwrap_or(0);
        if unknown > 0 {
            self.broken.push(format!("I1: {unknown} requests were made with what never was a key"));
        }
        for name in stage.credentials() {
            let value = fs::read_to_string(stage.secret(name)).unwrap_or_default();
            if !stage.sandbox.workspace().accepts(value.trim_end(), SystemClock.now()) {
                self.broken.push(format!("I1: what is served for {name} is not accepted"));
            }
        }
    }

    fn orphans(&mut self, stage: &Fixture, truth: &Truth) {
        let published: BTreeSet<_> = stage.served().into_values().collect();
        let orphans = truth.orphans(&published);
        self.orphans = orphans.len();
        self.broken
            .extend(orphans.iter().map(|key| format!("I4: key {} ({}) is nobody's", key.key_id, key.name)));
        let adopted = stage.adopted();
        let strangers =
            truth.keys().filter(|key| !key.is_rekeyds() && !adopted.contains(key.key_id.as_str()));
        for key in strangers.filter(|key| key.changed_at != key.created_at) {
            self.broken.push(format!("I4: key {} is somebody else's and was changed", key.key_id));
        }
    }

    fn finished(&mut self, stage: &Fixture, truth: &Truth, rotations: &[Told]) {
        let state_of = |id: &str| truth.key(id).map(|key| key.state);
        for Told { rotation, events } in rotations {
            let plan = &rotation.plan;
            if !rotation.is_over() {
                let phase = rotation.phase.name().label();
                self.broken.push(format!("I7: rotation {} is still in phase {phase}", plan.rotation));
            }
            self.revoked += events.iter().filter(|event| matches!(event, Event::OldKeyGone)).count();
            self.lost += events.iter().map(lost_in).sum::<usize>();
            if !matches!(rotation.phase, Phase::Done(_)) {
                continue;
            }
            self.rotations += 1;
            if let Some(old) = plan.old.as_ref().filter(|old| state_of(old.as_str()) != Some(State::Deleted))
            {
                self.broken.push(format!("I7: rotation {} is done and key {old} is not gone", plan.rotation));
            }
        }
        for name in stage.credentials() {
            let done = rotations.iter().any(|told| {
                told.rotation.plan.credential == *name && told.rotation.phase.name() == PhaseName::Done
            });
            if !done {
                self.broken.push(format!("I7: no rotation of {name} was ever done"));
            }
        }
    }

    /// The figures as a table.
    #[must_use]
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        let rows = [
            ("requests by consumers", self.requests.to_string(), ""),
            ("  refused or failed", self.failed.to_string(), "must be 0"),
            ("times that a consumer switched keys", self.switches.to_string(), ""),
            ("rotations completed", self.rotations.to_string(), ""),
            ("keys minted", self.minted.to_string(), ""),
            ("old keys revoked", self.revoked.to_string(), ""),
            ("keys lost, found again and deleted", self.lost.to_string(), ""),
            ("orphaned keys", self.orphans.to_string(), "must be 0"),
            ("kills survived", self.kills.to_string(), ""),
        ];
        for (what, count, note) in rows {
            table.add_row([what, &count, note]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table.to_string()
    }
}

fn lost_in(event: &Event) -> usize {
    if let Event::LostKeySettled { deleted } = event {
        return deleted.len();
    }
    usize::from(matches!(event, Event::Discarded))
}
