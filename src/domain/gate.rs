//! Gates: the conditions that must hold before an old key may be revoked, judged over gathered evidence.
//!
//! A new kind of gate is a variant of [`Gate`], its evidence a field of [`Observations`], and an arm in [`judge`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::ack::{Ack, Health};
use crate::domain::ids::ConsumerName;
use crate::domain::plan::RevocationPolicy;
use crate::domain::rotation::Rotation;
use crate::domain::schedule::brief;
use crate::domain::secret::Fingerprint;
use crate::domain::time::later;
use crate::domain::usage::{CreditCounters, Opinion, SourceEvidence};

pub mod probe;

use crate::domain::gate::probe::{CommandGate, CommandRun, Probe, ProbeRound};

/// An older response of a source of evidence says nothing about the present.
pub const STALE_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// A condition beside the time that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Each of these consumers has acknowledged the new key's fingerprint.
    Acks(BTreeSet<ConsumerName>),
    /// The old key has not been used for a while, by the provider's own evidence.
    Idle(Idle),
    /// Consumers have been seen to use the new key, by the provider's own evidence.
    NewKeyUsed,
    /// Consumers' own endpoints report the new key.
    Probes(Vec<Probe>),
    /// A program of the operator's says so.
    Command(CommandGate),
}

impl Gate {
    /// The consumers whose acknowledgement is waited for.
    #[must_use]
    pub fn consumers(&self) -> Option<&BTreeSet<ConsumerName>> {
        match self {
            Self::Acks(consumers) => Some(consumers),
            Self::Idle(_) | Self::NewKeyUsed | Self::Probes(_) | Self::Command(_) => None,
        }
    }

    /// Whether the provider's evidence of use has to be gathered.
    #[must_use]
    pub fn needs_usage(&self) -> bool {
        match self {
            Self::Idle(_) | Self::NewKeyUsed => true,
            Self::Acks(_) | Self::Probes(_) | Self::Command(_) => false,
        }
    }

    /// What it waits for, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Acks(consumers) => {
                let names: Vec<&str> = consumers.iter().map(ConsumerName::as_str).collect();
                format!("acknowledged by {}", names.join(", "))
            }
            Self::Idle(idle) => format!("the old key has been idle for {}", brief(idle.quiet)),
            Self::NewKeyUsed => "the new key is seen in use".to_owned(),
            Self::Probes(probes) => {
                let names: Vec<&str> = probes.iter().map(|probe| probe.name.as_str()).collect();
                format!("reported by {}", names.join(", "))
            }
            Self::Command(gate) => {
                format!("{} agrees", gate.command.first().map_or("the command", String::as_str))
            }
        }
    }
}

/// How long the old key must have been idle, and what counts when that cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    pub quiet: SignedDuration,
    pub when_unknown: WhenUnknown,
}

/// What follows when nothing can be concluded from the provider's evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnknown {
    /// The gate stays shut.
    Hold,
    /// The time of the overlap alone decides.
    Time,
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

/// The result of a gate with its reason: journalled when the old key is released, and shown until then. Journals of earlier
/// versions have the former field names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    pub gate: GateName,
    #[serde(alias = "open")]
    pub satisfied: bool,
    /// One line: what the gate is waiting on, or the evidence that satisfied it.
    #[serde(alias = "grounds")]
    pub reason: String,
    #[serde(alias = "stragglers", default, skip_serializing_if = "Vec::is_empty")]
    pub waiting_on: Vec<LaggingConsumer>,
}

/// Somebody, or something, that still uses the old key, or has not been seen to use the new one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LaggingConsumer {
    /// A consumer, a probe, or a source of evidence.
    pub who: String,
    pub why: String,
    /// When it was last seen to do so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
    /// How much of the old key it was seen to use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// What the provider says about that use, by its own column names, the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub about: Vec<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateName {
    AtLeast,
    Acks,
    /// Shut while any consumer says that it fails with the new key; no policy can do without it.
    Failing,
    Idle,
    NewKeyUsed,
    Probes,
    Command,
}

impl GateName {
    pub const ALL: [Self; 7] =
        [Self::AtLeast, Self::Acks, Self::Failing, Self::Idle, Self::NewKeyUsed, Self::Probes, Self::Command];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::AtLeast => "at_least",
            Self::Acks => "acks",
            Self::Failing => "failing",
            Self::Idle => "idle",
            Self::NewKeyUsed => "new_key_used",
            Self::Probes => "probes",
            Self::Command => "command",
        }
    }
}

/// Judges every gate of an overlap that began at `since`. The old key may go only if all verdicts are open.
#[must_use]
pub fn judge(
    terms: &RevocationPolicy,
    new: &Fingerprint,
    evidence: &Evidence,
    since: Timestamp,
    now: Timestamp,
) -> Vec<Verdict> {
    let opens_at = later(since, terms.at_least);
    let timed = if now >= opens_at {
        open(GateName::AtLeast, format!("overlap began at {since}"))
    } else {
        shut(GateName::AtLeast, format!("not before {opens_at}"), Vec::new())
    };
    let observed = &evidence.observed;
    let conditions = terms.gates.iter().map(|gate| match gate {
        Gate::Acks(consumers) => acks(consumers, terms.acks_valid_for, new, evidence, now),
        Gate::Idle(idle) => judge_idle(*idle, observed, since, now),
        Gate::NewKeyUsed => new_key_used(observed),
        Gate::Probes(probes) => probe::judge_probes(probes, &observed.probes, now),
        Gate::Command(_) => probe::judge_command(observed.command.as_ref(), now),
    });
    // The old key, on the way back, was there before: what was said of it then says nothing about now.
    let new_to_them = Some(new).filter(|_| !observed.way_back);
    let failing = failing(&evidence.acks, since, new_to_them);
    std::iter::once(timed).chain(failing).chain(conditions).collect()
}

/// Judges the way back: every condition, with the old key in the place of the new one. Of the consumers only those are
/// waited for that have said that they use the new key: one that never did has nothing to go back from.
#[must_use]
pub fn judge_return(rotation: &Rotation, evidence: &Evidence, now: Timestamp) -> Vec<Verdict> {
    let successor = rotation.successor();
    let placements = successor.map_or(&[][..], |successor| successor.placements.as_slice());
    let old = placements.iter().find_map(|placement| placement.before.fingerprint.as_ref());
    let switched = |consumer: &ConsumerName| {
        evidence.acks.iter().any(|ack| {
            ack.consumer == *consumer
                && Some(&ack.fingerprint) == successor.map(|successor| &successor.fingerprint)
        })
    };
    let mut terms = rotation.plan.terms.clone();
    for gate in &mut terms.gates {
        if let Gate::Acks(consumers) = gate {
            consumers.retain(|consumer| switched(consumer));
        }
    }
    let nothing = Fingerprint::of(b"");
    let mut evidence = evidence.clone();
    evidence.observed.way_back = true;
    judge(&terms, old.unwrap_or(&nothing), &evidence, rotation.since, now)
}

/// Whether some consumer says that it cannot work with the new key: then not even a deadline revokes the old one.
#[must_use]
pub fn is_anyone_failing(verdicts: &[Verdict]) -> bool {
    verdicts.iter().any(|verdict| verdict.gate == GateName::Failing && !verdict.satisfied)
}

/// The consumers that fail, each in a line; empty if none does: whoever has said so since `since`, or of the `new` key at
/// any time. The first destination may have served that long before the overlap began.
#[must_use]
pub fn failures(acks: &[Ack], since: Timestamp, new: Option<&Fingerprint>) -> Vec<LaggingConsumer> {
    let counts = |ack: &&Ack| ack.at >= since || Some(&ack.fingerprint) == new;
    let failing = acks.iter().filter(|ack| ack.health == Health::Failing).filter(counts);
    failing
        .map(|ack| LaggingConsumer {
            who: ack.consumer.to_string(),
            why: format!("reports since {} that it fails with {}", ack.since, ack.fingerprint),
            last: Some(ack.at),
            ..LaggingConsumer::default()
        })
        .collect()
}

fn open(gate: GateName, reason: String) -> Verdict {
    Verdict { gate, satisfied: true, reason, waiting_on: Vec::new() }
}

fn shut(gate: GateName, reason: String, waiting_on: Vec<LaggingConsumer>) -> Verdict {
    Verdict { gate, satisfied: false, reason, waiting_on }
}

fn named(waiting_on: &[LaggingConsumer]) -> String {
    let each: Vec<String> = waiting_on.iter().map(|it| format!("{} ({})", it.who, it.why)).collect();
    each.join(", ")
}

fn failing(acks: &[Ack], since: Timestamp, new: Option<&Fingerprint>) -> Option<Verdict> {
    let failures = failures(acks, since, new);
    (!failures.is_empty()).then(|| shut(GateName::Failing, named(&failures), failures))
}

fn acks(
    consumers: &BTreeSet<ConsumerName>,
    valid_for: Option<SignedDuration>,
    new: &Fingerprint,
    evidence: &Evidence,
    now: Timestamp,
) -> Verdict {
    let newest = |consumer: &ConsumerName| {
        evidence.acks.iter().filter(|ack| ack.consumer == *consumer).max_by_key(|ack| ack.at)
    };
    let stale = |ack: &Ack| valid_for.is_some_and(|valid_for| now.duration_since(ack.at) > valid_for);
    let why = |ack: &Ack| match (ack.fingerprint == *new, ack.health) {
        (true, Health::Using) if stale(ack) => Some(format!("not heard of since {}", ack.at)),
        (true, Health::Using) => None,
        (_, Health::Failing) => Some(format!("fails with {} since {}", ack.fingerprint, ack.since)),
        (false, Health::Using) => Some(format!("last acknowledged {} at {}", ack.fingerprint, ack.at)),
    };
    let straggler = |consumer: &ConsumerName| {
        let ack = newest(consumer);
        let why = ack.map_or_else(|| Some("never acknowledged anything".to_owned()), why)?;
        let last = ack.map(|ack| ack.at);
        Some(LaggingConsumer { who: consumer.to_string(), why, last, ..LaggingConsumer::default() })
    };
    let waiting_on: Vec<LaggingConsumer> = consumers.iter().filter_map(straggler).collect();
    if waiting_on.is_empty() {
        return open(GateName::Acks, format!("{} consumers acknowledged {new}", consumers.len()));
    }
    shut(GateName::Acks, format!("waiting for {new} from {}", named(&waiting_on)), waiting_on)
}

/// If any source shows use of the old key, the key is in use. It is idle only by a source that showed use of the new key.
fn judge_idle(idle: Idle, observed: &Observations, since: Timestamp, now: Timestamp) -> Verdict {
    let Idle { quiet, when_unknown } = idle;
    if observed.gone {
        return open(GateName::Idle, "the key that is to go is gone already".to_owned());
    }
    let opinions = observed.usage.iter().map(|seen| (seen, seen.judge(quiet, since, now, STALE_AFTER)));
    let (mut users, mut trusted, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for (seen, opinion) in opinions {
        let source = seen.source.label();
        match opinion {
            Opinion::Used { last } => users.push(LaggingConsumer {
                who: source.to_owned(),
                why: format!("shows use of the old key until {last}"),
                last: Some(last),
                amount: Some(seen.old.amount),
                about: seen.old.origins(quiet),
            }),
            Opinion::Idle { since: Some(last) } => trusted.push(format!(
                "{source} shows its last use before {last} (it is {:#} late at most)",
                seen.delay
            )),
            Opinion::Idle { since: None } => {
                trusted.push(format!("{source} shows no use of it (it is {:#} late at most)", seen.delay));
            }
            Opinion::Unknown(why) => unknown.push(format!("{source}: {why}")),
        }
    }
    if !users.is_empty() {
        return shut(GateName::Idle, format!("the old key is in use: {}", named(&users)), users);
    }
    if !trusted.is_empty() {
        let reason = format!("the old key has been idle for {quiet:#}: {}", trusted.join("; "));
        return open(GateName::Idle, reason);
    }
    let why = if unknown.is_empty() { "nothing was asked yet".to_owned() } else { unknown.join("; ") };
    match when_unknown {
        WhenUnknown::Hold => {
            shut(GateName::Idle, format!("whether the old key is idle is unknown: {why}"), Vec::new())
        }
        WhenUnknown::Time => open(
            GateName::Idle,
            format!("whether the old key is idle is unknown ({why}); the policy lets the time alone decide"),
        ),
    }
}

fn new_key_used(observed: &Observations) -> Verdict {
    let by = observed.usage.iter().filter_map(|seen| Some((seen.source.label(), seen.new.last?)));
    let seen: Vec<String> = by.map(|(source, last)| format!("{source}, until {last}")).collect();
    if !seen.is_empty() {
        return open(GateName::NewKeyUsed, format!("consumers use the new key: {}", seen.join("; ")));
    }
    let blind = observed.usage.iter().filter_map(|seen| Some((seen.source.label(), seen.blind.as_ref()?)));
    let blind: Vec<String> = blind.map(|(source, why)| format!("{source}: {why}")).collect();
    let why = if blind.is_empty() { String::new() } else { format!(" ({})", blind.join("; ")) };
    shut(GateName::NewKeyUsed, format!("no consumer has been seen to use the new key yet{why}"), Vec::new())
}

#[cfg(test)]
mod tests;
