//! Gathers the evidence that the gates are judged by, each source in a file: usage, probes and commands. Acknowledgements
//! are in the journal.

use jiff::SignedDuration;

use crate::domain::ack::Ack;
use crate::domain::failure::{Failure, Kind};
use crate::domain::gate::{Evidence, EvidenceNeed, Observations};
use crate::domain::time::later;
use crate::engine::effects::NewKeyEffects;
use crate::engine::effects::evidence::usage::quiet;
use crate::ports::journal;

mod command;
pub(super) mod probes;
mod usage;

const EVERY_MIN: SignedDuration = SignedDuration::from_secs(1);
const EVERY_MAX: SignedDuration = SignedDuration::from_mins(1);

impl NewKeyEffects<'_> {
    /// How often evidence is gathered: often compared with the time that it decides about, and less often the longer the
    /// rotation has waited.
    pub(super) fn gathers_every(&self) -> SignedDuration {
        let rotation = self.rotation;
        let terms = &rotation.plan.terms;
        let watches = terms.gates.iter().any(|gate| gate.needs() != EvidenceNeed::Nothing);
        let waited = self.context.now().duration_since(rotation.overlap_since());
        let every = (terms.at_least.max(waited) / 20).clamp(EVERY_MIN, EVERY_MAX);
        if watches { every } else { self.context.timing.look_again }
    }

    pub(super) async fn acks(&self) -> Result<Vec<Ack>, Failure> {
        self.context.journal.acks(&self.plan().credential).await.map_err(unreadable)
    }

    /// Everything that the gates of this rotation need, written to the journal. Evidence that was gathered a moment ago
    /// is not gathered again.
    pub(super) async fn gather(&mut self) -> Result<Evidence, Failure> {
        let acks = self.acks().await?;
        let (credential, id) = (self.plan().credential.clone(), self.plan().rotation);
        let observed = self.context.journal.observed(&credential, id).await.map_err(unreadable)?;
        let way_back = self.rotation.phase.is_rollback();
        let now = self.context.now();
        // What was gathered in the future was dated by a clock that was wrong: it shows use that is still to come.
        let latest = later(now, self.context.timing.clock_skew_max);
        let is_ours = |observed: &Observations| {
            observed.way_back == way_back && observed.gathered_at.is_none_or(|at| at <= latest)
        };
        let observed = observed.filter(is_ours);
        let observed = observed.unwrap_or_else(|| Observations { way_back, ..Observations::default() });
        let gates = self.plan().terms.gates.clone();
        let age = observed.gathered_at.map(|at| now.duration_since(at));
        let fresh = age.is_some_and(|age| !age.is_negative() && age < EVERY_MIN / 2);
        if fresh || gates.iter().all(|gate| gate.needs() == EvidenceNeed::Nothing) {
            return Ok(Evidence { acks, observed });
        }
        let mut next = Observations { gathered_at: Some(now), ..observed };
        if let Some(quiet) = quiet(&gates) {
            next = self.watch_usage(next, quiet, now).await?;
        }
        for gate in &gates {
            match gate.needs() {
                EvidenceNeed::Probes(probes) => next.probes = self.probe(probes, &next.probes).await,
                EvidenceNeed::Command(gate) => next.command = Some(self.run_command(gate).await),
                EvidenceNeed::Nothing | EvidenceNeed::Usage { .. } => {}
            }
        }
        self.context.journal.observe(&credential, id, &next, now).await.map_err(unreadable)?;
        Ok(Evidence { acks, observed: next })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used with `map_err`")]
pub(super) fn unreadable(error: journal::Error) -> Failure {
    Failure::rejected(Kind::LocalDisk, error.to_string())
}
