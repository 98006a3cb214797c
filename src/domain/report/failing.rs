//! Consumers that report that the credential's key does not work for them: they are affected now, whatever the rotation
//! waits for.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ack::{Ack, Health};
use crate::domain::ids::ConsumerName;
use crate::domain::plan::RevocationPolicy;
use crate::domain::policy::Credential;
use crate::domain::report::advice::Advice;
use crate::domain::report::{CredentialHealth, CredentialReport, Facts};
use crate::domain::rotation::Rotation;

/// A consumer whose newest report says that it fails with a key of the credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FailingConsumer {
    pub consumer: ConsumerName,
    pub since: Timestamp,
    pub key: FailingKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FailingKey {
    /// The credential's own, while no rotation is in progress.
    Current,
    /// The key that is being replaced.
    Old,
    /// The replacement.
    New,
}

impl FailingKey {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

impl FailingConsumer {
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { consumer, since, key } = self;
        format!("{consumer} fails with the {} key since {since:.0}", key.label())
    }
}

/// Whether consumers report about this credential, so that its report needs their acknowledgements: for gates, for
/// consumers that fail, and for those that are silent.
#[must_use]
pub fn applies(rotation: Option<&Rotation>, policy: Option<&Credential>) -> bool {
    !awaited(rotation, policy).is_empty()
}

/// The consumers that the policy, or the rotation in progress, waits for.
fn awaited<'a>(rotation: Option<&'a Rotation>, policy: Option<&'a Credential>) -> BTreeSet<&'a ConsumerName> {
    let of_rotation = rotation.map(|rotation| &rotation.plan.terms);
    let terms = of_rotation.into_iter().chain(policy.map(|policy| &policy.terms));
    terms.flat_map(RevocationPolicy::consumers).collect()
}

/// In the order of their names. A key that is none of the credential's keys any more counts no longer.
pub(super) fn find(facts: Facts<'_>) -> Vec<FailingConsumer> {
    let Facts { record, rotation, evidence, policy } = facts;
    let awaited = awaited(rotation, policy);
    let current = record.current.as_ref().and_then(|current| current.fingerprint.as_ref());
    let successor = rotation.and_then(Rotation::successor);
    let key = |ack: &Ack| {
        let Some(successor) = successor else {
            return (current == Some(&ack.fingerprint)).then_some(FailingKey::Current);
        };
        if successor.fingerprint == ack.fingerprint {
            return Some(FailingKey::New);
        }
        let before = successor.placements.iter().filter_map(|it| it.before.fingerprint.as_ref());
        before.chain(current).any(|before| *before == ack.fingerprint).then_some(FailingKey::Old)
    };
    let failing = evidence.acks.iter().filter(|ack| ack.health == Health::Failing);
    let mut failing: Vec<FailingConsumer> = failing
        .filter(|ack| awaited.contains(&ack.consumer))
        .filter_map(|ack| {
            Some(FailingConsumer { consumer: ack.consumer.clone(), since: ack.since, key: key(ack)? })
        })
        .collect();
    failing.sort_by(|one, other| one.consumer.cmp(&other.consumer));
    failing
}

/// The advice with the failing consumers before everything else: going back is suggested where it gives them a key that
/// worked.
pub(super) fn before(report: &CredentialReport, rotation: Option<&Rotation>, advice: Advice) -> Advice {
    let Some(first) = report.failing_consumers.first() else { return advice };
    let of_new = report.failing_consumers.iter().any(|it| it.key == FailingKey::New);
    let is_parked = report.rotation.as_ref().is_some_and(|rotation| rotation.parked.is_some());
    let goes_back = of_new && !is_parked && rotation.is_some_and(Rotation::can_roll_back);
    let command = if goes_back {
        Some(format!("rekeyd rollback {}", report.credential))
    } else {
        let shows = Some(format!("rekeyd consumers {}", first.consumer));
        advice.command.filter(|_| is_parked).or(shows)
    };
    let each: Vec<String> = report.failing_consumers.iter().map(FailingConsumer::summary).collect();
    Advice {
        health: CredentialHealth::Failing,
        attention: true,
        summary: format!("{}; {}", each.join(", "), advice.summary),
        command,
    }
}
