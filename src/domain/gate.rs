//! Gates: the conditions that must hold before an old key may be revoked, judged over gathered evidence.
//!
//! Each kind of gate that a policy may ask for has a file in `gate/` with what it is, as a `GateKind`. Here it has a variant of
//! [`Gate`] and of [`GateName`], and a field of [`Observations`] if there is new evidence to keep.
//!
//! Three conditions are judged whatever the policy asks for, in `judge_all`: the time (`at_least`), consumers that report
//! failures (`failing.rs`), and an operator's confirmation where one is needed (`confirm.rs`). What must hold of the keys and
//! destinations themselves is no gate: see `engine/effects/precheck.rs`.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ack::Ack;
use crate::domain::ids::ConsumerName;
use crate::domain::rotation::Rotation;
use crate::domain::secret::Fingerprint;
use crate::domain::time::later;
use crate::domain::usage::{CreditCounters, SourceEvidence};

mod acks;
pub mod command;
pub mod confirm;
mod failing;
mod idle;
mod kind;
mod new_key_used;
pub mod probes;
mod verdict;

pub use crate::domain::gate::acks::Acks;
pub use crate::domain::gate::failing::{failures, is_anyone_failing};
pub use crate::domain::gate::idle::{Idle, WhenUnknown};
pub use crate::domain::gate::kind::EvidenceNeed;
pub use crate::domain::gate::probes::Probes;
pub use crate::domain::gate::verdict::{LaggingConsumer, Verdict};

use crate::domain::gate::command::{CommandGate, CommandRun};
use crate::domain::gate::kind::{Facts, GateKind};
use crate::domain::gate::new_key_used::NewKeyUsed;
use crate::domain::gate::probes::ProbeRound;
use crate::domain::gate::verdict::Judgement;

/// An older response of a source of evidence says nothing about the present.
pub const STALE_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// A condition beside the time that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Each of these consumers has acknowledged the new key's fingerprint.
    Acks(Acks),
    /// The old key has not been used for a while, by the provider's own evidence.
    Idle(Idle),
    /// Consumers have been seen to use the new key, by the provider's own evidence.
    NewKeyUsed,
    /// Consumers' own endpoints report the new key.
    Probes(Probes),
    /// A program of the operator's says so.
    Command(CommandGate),
}

impl Gate {
    fn kind(&self) -> &dyn GateKind {
        match self {
            Self::Acks(acks) => acks,
            Self::Idle(idle) => idle,
            Self::NewKeyUsed => &NewKeyUsed,
            Self::Probes(probes) => probes,
            Self::Command(command) => command,
        }
    }

    /// What it waits for, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        self.kind().describe()
    }

    /// What a prediction takes for granted, so that the gate opens.
    #[must_use]
    pub fn assumption(&self) -> &'static str {
        self.kind().assumption()
    }

    /// The evidence that has to be gathered before it is judged.
    #[must_use]
    pub fn needs(&self) -> EvidenceNeed<'_> {
        self.kind().needs()
    }

    /// Whether the provider's evidence of use has to be gathered.
    #[must_use]
    pub fn needs_usage(&self) -> bool {
        matches!(self.needs(), EvidenceNeed::Usage { .. })
    }

    /// The consumers whose acknowledgement is waited for.
    #[must_use]
    pub fn consumers(&self) -> Option<&BTreeSet<ConsumerName>> {
        self.kind().consumers()
    }

    fn judge(&self, facts: &Facts<'_>) -> Verdict {
        let kind = self.kind();
        kind.judge(facts).of(kind.name())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateName {
    AtLeast,
    /// An operator has to say that consumers have switched.
    Confirm,
    Acks,
    /// Shut while any consumer says that it fails with the new key; no policy can do without it.
    Failing,
    Idle,
    NewKeyUsed,
    Probes,
    Command,
}

impl GateName {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::AtLeast => "at_least",
            Self::Confirm => "confirm",
            Self::Acks => "acks",
            Self::Failing => "failing",
            Self::Idle => "idle",
            Self::NewKeyUsed => "new_key_used",
            Self::Probes => "probes",
            Self::Command => "command",
        }
    }
}

/// All that was gathered for one judgement. Of each consumer it holds the newest word only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    pub acks: Vec<Ack>,
    pub observed: Observations,
}

/// What rekeyd found out by itself during one overlap. Kept in the journal, so that a restart forgets nothing and
/// whoever looks sees what was judged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observations {
    /// Whether it was observed on the way back, where the new key is the one to go.
    pub way_back: bool,
    /// The key that is to go is gone already: nobody can use it.
    pub gone: bool,
    /// When anything was last looked for.
    pub gathered_at: Option<Timestamp>,
    pub usage: Vec<SourceEvidence>,
    pub counted: Option<CreditCounters>,
    /// When the new key was used by ourselves.
    pub canaries: Vec<Timestamp>,
    pub probes: Vec<ProbeRound>,
    pub command: Option<CommandRun>,
}

/// Judges every gate of an overlap that began at `since`. The old key may go only if all verdicts are open.
#[must_use]
pub fn judge(rotation: &Rotation, evidence: &Evidence, since: Timestamp, now: Timestamp) -> Vec<Verdict> {
    let nothing = Fingerprint::of(b"");
    let Rotation { plan, confirmation, .. } = rotation;
    let new = rotation.successor().map_or(&nothing, |successor| &successor.fingerprint);
    let confirmed = confirm::judge(confirmation, plan.adopted, &plan.terms);
    let facts = Facts { terms: &plan.terms, new, evidence, since, now, is_awaited: &|_| true };
    judge_all(&facts, confirmed)
}

/// Whether the old key stays in service beyond the deadline: a consumer reports that it fails, or an operator has not
/// confirmed what only an operator can know.
#[must_use]
pub fn overrule_a_deadline(verdicts: &[Verdict]) -> bool {
    is_anyone_failing(verdicts) || confirm::is_missing(verdicts)
}

/// Judges the way back, which began at `since`: every condition, with the old key in the place of the new one. Of the consumers only those are
/// waited for that have said that they use the new key: one that never did has nothing to go back from.
#[must_use]
pub fn judge_return(
    rotation: &Rotation,
    evidence: &Evidence,
    since: Timestamp,
    now: Timestamp,
) -> Vec<Verdict> {
    let successor = rotation.successor();
    let placements = successor.map_or(&[][..], |successor| successor.placements.as_slice());
    let old = placements.iter().find_map(|placement| placement.before.fingerprint.as_ref());
    let switched = |consumer: &ConsumerName| {
        evidence.acks.iter().any(|ack| {
            ack.consumer == *consumer
                && Some(&ack.fingerprint) == successor.map(|successor| &successor.fingerprint)
        })
    };
    let nothing = Fingerprint::of(b"");
    let mut evidence = evidence.clone();
    if !evidence.observed.way_back {
        // What was observed on the way there has the keys the other way round.
        evidence.observed = Observations { way_back: true, ..Observations::default() };
    }
    let facts = Facts {
        terms: &rotation.plan.terms,
        new: old.unwrap_or(&nothing),
        evidence: &evidence,
        since,
        now,
        is_awaited: &switched,
    };
    judge_all(&facts, None)
}

fn judge_all(facts: &Facts<'_>, confirmed: Option<Verdict>) -> Vec<Verdict> {
    let opens_at = later(facts.since, facts.terms.at_least);
    let timed = if facts.now >= opens_at {
        Judgement::open(format!("overlap began at {}", facts.since))
    } else {
        Judgement::shut(format!("not before {opens_at}"), Vec::new())
    };
    // The old key, on the way back, was there before: what was said of it then says nothing about now.
    let new_to_them = Some(facts.new).filter(|_| !facts.evidence.observed.way_back);
    let failing = failing::judge(&facts.evidence.acks, facts.since, new_to_them);
    let conditions = facts.terms.gates.iter().map(|gate| gate.judge(facts));
    std::iter::once(timed.of(GateName::AtLeast)).chain(confirmed).chain(failing).chain(conditions).collect()
}

#[cfg(test)]
mod tests;
