//! Required consumers whose acknowledgement has expired (`acks_valid_for`), such as a dead agent. They are reported before
//! the next rotation has to wait for them.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ack::Ack;
use crate::domain::ids::ConsumerName;
use crate::domain::plan::RevocationPolicy;
use crate::domain::policy::Credential;
use crate::domain::report::advice::Advice;
use crate::domain::report::{CredentialHealth, CredentialReport};
use crate::domain::schedule::brief;
use crate::domain::time::later;

/// A required consumer whose last acknowledgement has expired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StaleConsumer {
    pub consumer: ConsumerName,
    /// Time of its last acknowledgement.
    pub since: Timestamp,
    /// How long an acknowledgement counts: the policy's `acks_valid_for`.
    pub valid_for_seconds: i64,
}

impl StaleConsumer {
    /// When the acknowledgement expired.
    #[must_use]
    pub fn overdue_since(&self) -> Timestamp {
        let valid_for = SignedDuration::from_secs(self.valid_for_seconds);
        later(self.since, valid_for)
    }

    #[must_use]
    pub fn summary(&self) -> String {
        let valid_for = brief(SignedDuration::from_secs(self.valid_for_seconds));
        let Self { consumer, since, .. } = self;
        format!("{consumer} last acknowledged at {since:.0}, more than {valid_for} ago; check its agent")
    }

    #[must_use]
    pub fn command(&self) -> String {
        format!("rekeyd consumers {}", self.consumer)
    }
}

/// In the order of their names.
pub(super) fn find(policy: Option<&Credential>, acks: &[Ack], now: Timestamp) -> Vec<StaleConsumer> {
    policy.map(|policy| of_terms(&policy.terms, acks, now)).unwrap_or_default()
}

fn of_terms(terms: &RevocationPolicy, acks: &[Ack], now: Timestamp) -> Vec<StaleConsumer> {
    let Some(valid_for) = terms.acks_valid_for else { return Vec::new() };
    let last =
        |consumer: &ConsumerName| acks.iter().filter(|ack| ack.consumer == *consumer).map(|ack| ack.at).max();
    let stale = terms.consumers().filter_map(|consumer| {
        let since = last(consumer).filter(|at| now.duration_since(*at) > valid_for)?;
        Some(StaleConsumer { consumer: consumer.clone(), since, valid_for_seconds: valid_for.as_secs() })
    });
    stale.collect()
}

/// The advice for a credential that is otherwise fine.
pub(super) fn advise(report: &CredentialReport) -> Option<Advice> {
    let first = report.stale_consumers.first()?;
    Some(Advice {
        health: CredentialHealth::OutOfSync,
        attention: true,
        summary: all(report),
        command: Some(first.command()),
    })
}

/// Adds stale consumers to the advice of a rotation in progress.
pub(super) fn beside(report: &CredentialReport, advice: Advice) -> Advice {
    let Some(first) = report.stale_consumers.first() else { return advice };
    Advice {
        attention: true,
        summary: format!("{}; {}", advice.summary, all(report)),
        command: advice.command.or_else(|| Some(first.command())),
        ..advice
    }
}

fn all(report: &CredentialReport) -> String {
    let each: Vec<String> = report.stale_consumers.iter().map(StaleConsumer::summary).collect();
    each.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ack::Health;
    use crate::domain::gate::Gate;
    use crate::domain::secret::Fingerprint;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minutes * 60).unwrap()
    }

    fn name(name: &str) -> ConsumerName {
        ConsumerName::new(name).unwrap()
    }

    fn ack(consumer: &str, minute: i64) -> Ack {
        let fingerprint = Fingerprint::of(b"key");
        Ack { consumer: name(consumer), fingerprint, health: Health::Using, since: at(0), at: at(minute) }
    }

    fn terms(valid_for: Option<i64>) -> RevocationPolicy {
        let required = [name("api"), name("batch"), name("never")].into();
        let acks_valid_for = valid_for.map(SignedDuration::from_mins);
        RevocationPolicy {
            gates: vec![Gate::Acks(required)],
            acks_valid_for,
            ..RevocationPolicy::of_an_emergency()
        }
    }

    #[test]
    fn a_required_consumer_is_stale_once_its_acknowledgement_has_expired() {
        let acks = [ack("api", 31), ack("batch", 30), ack("nobodys", 0)];
        let found = of_terms(&terms(Some(30)), &acks, at(61));
        let names: Vec<&str> = found.iter().map(|it| it.consumer.as_str()).collect();
        assert_eq!(names, ["batch"]);
        let stale = found.first().unwrap();
        assert_eq!((stale.since, stale.overdue_since()), (at(30), at(60)));
        assert_eq!(stale.command(), "rekeyd consumers batch");
        assert!(stale.summary().contains("more than 30m ago"), "{}", stale.summary());
        assert_eq!(of_terms(&terms(None), &acks, at(10_000)), [], "acknowledgements do not expire");
    }
}
