//! Consumers that were heard of and are silent for longer than their word counts: an agent that died, a machine that is
//! off. The next rotation would wait for them; somebody should know before it begins.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ack::Ack;
use crate::domain::gate::Gate;
use crate::domain::ids::ConsumerName;
use crate::domain::plan::Terms;
use crate::domain::policy::Credential;
use crate::domain::report::advice::Advice;
use crate::domain::report::{Condition, CredentialReport};
use crate::domain::schedule::brief;

/// A consumer that is waited for, has spoken before, and whose last word no longer counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct SilentReport {
    pub consumer: ConsumerName,
    /// When it last said anything.
    pub since: Timestamp,
    /// How long its word counts: the policy's `acks_valid_for`.
    pub valid_for_seconds: i64,
}

impl SilentReport {
    /// When its word ceased to count.
    #[must_use]
    pub fn overdue_since(&self) -> Timestamp {
        let valid_for = SignedDuration::from_secs(self.valid_for_seconds);
        self.since.saturating_add(valid_for).unwrap_or(Timestamp::MAX)
    }

    #[must_use]
    pub fn summary(&self) -> String {
        let valid_for = brief(SignedDuration::from_secs(self.valid_for_seconds));
        let Self { consumer, since, .. } = self;
        format!(
            "{consumer} is silent since {since:.0}, and its word counts for {valid_for}: is its agent alive?"
        )
    }

    #[must_use]
    pub fn command(&self) -> String {
        format!("rekeyd consumers {}", self.consumer)
    }
}

/// Whether consumers have to repeat what they say. Without that nobody can tell silence from contentment.
#[must_use]
pub fn is_noticed(policy: Option<&Credential>) -> bool {
    policy.is_some_and(|policy| {
        policy.terms.acks_valid_for.is_some() && awaited(&policy.terms).next().is_some()
    })
}

fn awaited(terms: &Terms) -> impl Iterator<Item = &ConsumerName> {
    terms.gates.iter().filter_map(Gate::consumers).flatten()
}

/// In the order of their names.
pub(super) fn silent(policy: Option<&Credential>, acks: &[Ack], now: Timestamp) -> Vec<SilentReport> {
    let Some(terms) = policy.map(|policy| &policy.terms) else { return Vec::new() };
    let Some(valid_for) = terms.acks_valid_for else { return Vec::new() };
    let last =
        |consumer: &ConsumerName| acks.iter().filter(|ack| ack.consumer == *consumer).map(|ack| ack.at).max();
    let silent = awaited(terms).filter_map(|consumer| {
        let since = last(consumer).filter(|at| now.duration_since(*at) > valid_for)?;
        Some(SilentReport { consumer: consumer.clone(), since, valid_for_seconds: valid_for.as_secs() })
    });
    silent.collect()
}

/// Of a credential with which nothing else is wrong.
pub(super) fn advise(report: &CredentialReport) -> Option<Advice> {
    let first = report.silent.first()?;
    Some(Advice {
        condition: Condition::Drifted,
        attention: true,
        summary: all(report),
        command: Some(first.command()),
    })
}

/// Beside what there is to say of a rotation under way.
pub(super) fn beside(report: &CredentialReport, advice: Advice) -> Advice {
    let Some(first) = report.silent.first() else { return advice };
    Advice {
        attention: true,
        summary: format!("{}; {}", advice.summary, all(report)),
        command: advice.command.or_else(|| Some(first.command())),
        ..advice
    }
}

fn all(report: &CredentialReport) -> String {
    let each: Vec<String> = report.silent.iter().map(SilentReport::summary).collect();
    each.join("; ")
}
