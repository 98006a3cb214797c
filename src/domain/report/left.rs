//! Destinations that left the policy and still hold a key that rekeyd published: named until an operator forgets them.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::left::LeftValue;
use crate::domain::policy::Policy;
use crate::domain::record::Record;
use crate::domain::report::{CredentialHealth, CredentialReport};
use crate::domain::secret::Fingerprint;

/// A destination that rekeyd published to and that the policy names no longer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LeftReport {
    pub destination: String,
    pub holds: LeftValue,
    /// The key that was published there last.
    pub fingerprint: Option<Fingerprint>,
    pub since: Timestamp,
    /// The command that says that the value was removed there.
    pub next_command: String,
}

impl LeftReport {
    /// What is there, and what to do.
    #[must_use]
    pub fn summary(&self) -> String {
        let Self { destination, holds, next_command, .. } = self;
        let what = match holds {
            LeftValue::InService => "the key in service, and does not get the next one",
            LeftValue::Replaced => "a key that was replaced",
        };
        format!(
            "`{destination}` has left the policy and still holds {what}: make sure that nothing reads it, remove the value there, then \
             `{next_command}`"
        )
    }
}

/// Those of a record, by the policy if there is one.
#[must_use]
pub fn find(record: &Record, policy: &Policy, now: Timestamp) -> Vec<LeftReport> {
    if policy.renamed(&record.credential).is_some() {
        return Vec::new();
    }
    let by_policy = if policy.credentials.is_empty() { None } else { record.with_left(policy, now) };
    let record = by_policy.as_ref().unwrap_or(record);
    let report = record.still_left().map(|left| LeftReport {
        destination: left.destination.to_string(),
        holds: record.value_left(left),
        fingerprint: left.fingerprint.clone(),
        since: left.since,
        next_command: format!("rekeyd forget {}", left.destination),
    });
    report.collect()
}

impl CredentialReport {
    /// Names the destinations that left the policy. Nothing waits for an operator because of them.
    pub(super) fn apply_left(&mut self, record: Option<&Record>, policy: &Policy, now: Timestamp) {
        let Some(record) = record.filter(|_| self.health != CredentialHealth::Damaged) else { return };
        self.left_destinations = find(record, policy, now);
        let Some(first) = self.left_destinations.first() else { return };
        let more = self.left_destinations.len() - 1;
        let more = if more == 0 { String::new() } else { format!(", and {more} more") };
        self.summary = format!("{}; {}{more}", self.summary, first.summary());
        if self.health == CredentialHealth::Fine {
            self.health = CredentialHealth::OutOfSync;
        }
        self.next_command = self.next_command.take().or_else(|| Some(first.next_command.clone()));
    }
}
