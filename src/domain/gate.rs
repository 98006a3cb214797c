//! Gates: the conditions that must hold before an old key may be revoked, judged over gathered evidence.
//!
//! A new kind of gate is a variant of [`Gate`], its evidence a field of [`Evidence`], and an arm in [`judge`].

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::ConsumerName;
use crate::domain::plan::Terms;
use crate::domain::secret::Fingerprint;

/// A condition beside the time that must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// Each of these consumers has acknowledged the new key's fingerprint.
    Acks(BTreeSet<ConsumerName>),
}

/// A consumer's word that it now uses the key with this fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    pub consumer: ConsumerName,
    pub fingerprint: Fingerprint,
    pub at: Timestamp,
}

/// All that was gathered for one judgement. Of each consumer it holds the newest acknowledgement only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    pub acks: Vec<Ack>,
}

/// What a gate says, and on what grounds: journalled when the old key is released, shown while it is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub gate: GateName,
    pub open: bool,
    /// One line for a person: who or what is being waited for, or on what evidence the gate opened.
    pub grounds: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateName {
    AtLeast,
    Acks,
}

impl GateName {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::AtLeast => "at_least",
            Self::Acks => "acks",
        }
    }
}

/// Judges every gate of an overlap that began at `since`. The old key may go only if all verdicts are open.
#[must_use]
pub fn judge(
    terms: &Terms,
    new: &Fingerprint,
    evidence: &Evidence,
    since: Timestamp,
    now: Timestamp,
) -> Vec<Verdict> {
    let opens_at = since.saturating_add(terms.at_least).unwrap_or(Timestamp::MAX);
    let timed = Verdict {
        gate: GateName::AtLeast,
        open: now >= opens_at,
        grounds: if now >= opens_at {
            format!("overlap began at {since}")
        } else {
            format!("not before {opens_at}")
        },
    };
    let conditions = terms.gates.iter().map(|gate| match gate {
        Gate::Acks(consumers) => acks(consumers, new, evidence),
    });
    std::iter::once(timed).chain(conditions).collect()
}

fn acks(consumers: &BTreeSet<ConsumerName>, new: &Fingerprint, evidence: &Evidence) -> Verdict {
    let newest = |consumer: &ConsumerName| {
        evidence.acks.iter().filter(|ack| ack.consumer == *consumer).max_by_key(|ack| ack.at)
    };
    let stragglers: Vec<String> = consumers
        .iter()
        .filter_map(|consumer| match newest(consumer) {
            Some(ack) if ack.fingerprint == *new => None,
            Some(ack) => Some(format!("{consumer} (last acknowledged {} at {})", ack.fingerprint, ack.at)),
            None => Some(format!("{consumer} (never acknowledged anything)")),
        })
        .collect();
    let grounds = if stragglers.is_empty() {
        format!("{} consumers acknowledged {new}", consumers.len())
    } else {
        format!("waiting for {new} from {}", stragglers.join(", "))
    };
    Verdict { gate: GateName::Acks, open: stragglers.is_empty(), grounds }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::domain::plan::AfterDeadline;

    fn at(hour: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hour)
    }

    fn terms(consumers: &[&str]) -> Terms {
        Terms {
            at_least: SignedDuration::from_hours(2),
            at_most: SignedDuration::from_hours(10),
            then: AfterDeadline::Hold,
            gates: vec![Gate::Acks(consumers.iter().map(|name| ConsumerName::new(*name).unwrap()).collect())],
            quarantine: SignedDuration::from_hours(1),
        }
    }

    fn ack(consumer: &str, value: &str, hour: i64) -> Ack {
        let consumer = ConsumerName::new(consumer).unwrap();
        Ack { consumer, fingerprint: Fingerprint::of(value.as_bytes()), at: at(hour) }
    }

    /// Judges at `now` with an overlap that began at hour 0, and says which gates are shut.
    fn shut(consumers: &[&str], acks: Vec<Ack>, now: i64) -> Vec<GateName> {
        let verdicts = judge(&terms(consumers), &Fingerprint::of(b"new"), &Evidence { acks }, at(0), at(now));
        verdicts.into_iter().filter(|verdict| !verdict.open).map(|verdict| verdict.gate).collect()
    }

    #[test]
    fn every_gate_must_be_open() {
        use GateName::{Acks, AtLeast};
        assert_eq!(shut(&["api"], vec![], 0), [AtLeast, Acks]);
        assert_eq!(shut(&["api"], vec![], 2), [Acks]);
        assert_eq!(shut(&["api"], vec![ack("api", "new", 1)], 1), [AtLeast]);
        assert_eq!(shut(&["api"], vec![ack("api", "new", 1)], 2), []);
        assert_eq!(shut(&["api", "batch"], vec![ack("api", "new", 1)], 9), [Acks]);
        assert_eq!(shut(&["api"], vec![ack("api", "old", 1)], 9), [Acks]);
        assert_eq!(shut(&["api"], vec![ack("batch", "new", 1)], 9), [Acks]);
    }

    #[test]
    fn a_consumer_that_went_back_to_the_old_key_is_a_straggler_again() {
        let back = vec![ack("api", "new", 1), ack("api", "old", 2)];
        assert_eq!(shut(&["api"], back, 9), [GateName::Acks]);
    }

    #[test]
    fn stragglers_are_named() {
        let evidence = Evidence { acks: vec![ack("api", "old", 1)] };
        let verdicts = judge(&terms(&["api", "batch"]), &Fingerprint::of(b"new"), &evidence, at(0), at(3));
        assert!(verdicts[1].grounds.contains("api (last acknowledged"), "{verdicts:?}");
        assert!(verdicts[1].grounds.contains("batch (never"), "{verdicts:?}");
    }
}
