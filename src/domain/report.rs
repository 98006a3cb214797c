//! The report of each credential: the one source of `rekeyd status`, the HTTP API and the metrics (I9).
//!
//! Everything is derived from the journal, the policy if it is available, and the time. The field names are part of the
//! interface: [`SCHEMA_VERSION`] changes when a field changes its meaning or is removed.

pub mod advice;
pub mod blocked;
pub mod condition;
pub mod consumers;
pub mod destinations;
pub mod expiry;
pub mod failing;
pub mod findings;
mod health;
pub mod held_back;
pub mod history;
pub mod holds;
pub mod left;
pub mod progress;
mod removed;
pub mod rollback;
pub mod rotation;
mod safety_call;
pub mod stale_consumers;
pub mod why;

pub use crate::domain::report::health::CredentialHealth;
pub use crate::domain::report::rotation::{FailureReport, ParkedReport, RotationReport};

use std::cmp::Reverse;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::effect;
use crate::domain::emergency::EmergencyOutcome;
use crate::domain::finding::Finding;
use crate::domain::gate::Evidence;
use crate::domain::ids::{CredentialName, KeyId, ServiceAccountId, WorkspaceName};
use crate::domain::last_use::LastUse;
use crate::domain::notification::ChannelFailure;
use crate::domain::phase::PhaseName;
use crate::domain::policy::{Credential, Mode};
use crate::domain::record::{LastRotation, Obstacle, Record};
use crate::domain::report::blocked::Blocked;
use crate::domain::report::condition::Condition;
use crate::domain::report::destinations::{DestinationReport, DestinationState};
use crate::domain::report::expiry::Unrotated;
use crate::domain::report::failing::FailingConsumer;
use crate::domain::report::held_back::HeldBack;
use crate::domain::report::holds::HoldReport;
use crate::domain::report::left::LeftReport;
use crate::domain::report::stale_consumers::StaleConsumer;
use crate::domain::rotation::Rotation;
use crate::domain::secret::Fingerprint;
use crate::domain::sharing::SharingGroups;

pub const SCHEMA_VERSION: u32 = 1;

/// Every credential, the worst first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StatusReport {
    pub schema_version: u32,
    pub at: Timestamp,
    /// Whether an operator is needed.
    pub attention: bool,
    pub credentials: Vec<CredentialReport>,
    /// Pauses by operators, and tripped breakers.
    pub holds: Vec<HoldReport>,
    /// Notification channels that fail.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing_channels: Vec<ChannelFailure>,
    /// Conditions of the daemon itself; empty if no daemon answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl StatusReport {
    #[must_use]
    pub fn new(mut credentials: Vec<CredentialReport>, at: Timestamp) -> Self {
        credentials.sort_by(|one, other| {
            let rank = |report: &CredentialReport| (Reverse(report.health), !report.attention);
            rank(one).cmp(&rank(other)).then_with(|| one.credential.cmp(&other.credential))
        });
        let attention = credentials.iter().any(|report| report.attention);
        Self {
            schema_version: SCHEMA_VERSION,
            at,
            attention,
            credentials,
            holds: Vec::new(),
            failing_channels: Vec::new(),
            conditions: Vec::new(),
        }
    }

    /// Adds the failing notification channels, which need an operator.
    #[must_use]
    pub fn with_failing_channels(mut self, failing: Vec<ChannelFailure>) -> Self {
        self.attention |= !failing.is_empty();
        self.failing_channels = failing;
        self
    }
}

/// Everything that is reported of one credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CredentialReport {
    pub credential: CredentialName,
    pub health: CredentialHealth,
    /// Whether an operator is needed.
    pub attention: bool,
    /// The current state in one line.
    pub summary: String,
    /// The command that an operator should run next.
    pub next_command: Option<String>,
    pub workspace: Option<WorkspaceName>,
    /// Whether it is rotated or only observed; `null` if it is not in the policy.
    pub mode: Option<Mode>,
    pub account: Option<ServiceAccountId>,
    /// The sharing groups of the account, each with its role, as recorded; `null` if no listing has shown them.
    pub sharing_groups: Option<SharingGroups>,
    pub key_id: Option<KeyId>,
    pub fingerprint: Option<Fingerprint>,
    pub key_since: Option<Timestamp>,
    /// When the key on record expires. During a rotation that is the old key, whose expiry rekeyd may have moved.
    pub key_expires_at: Option<Timestamp>,
    /// When the key was last used, while it is only observed or not rotated yet; `null` otherwise, and before the first look.
    pub last_use: Option<LastUse>,
    /// When it is due, by its schedule or because its key expires; `null` while a rotation is in progress.
    pub next_due: Option<Timestamp>,
    /// Whether an operator has requested a rotation that has not started.
    pub requested: bool,
    /// When it is or was due, also during a rotation. For metrics.
    #[serde(skip)]
    pub due: Option<Timestamp>,
    /// Whether it is due because its key expires, before its schedule says so.
    pub due_by_expiry: bool,
    /// What blocks a rotation that is due or in progress. For metrics; the summary has the same as text.
    #[serde(skip)]
    pub blocked: Option<Blocked>,
    /// What holds its next step back, and until when.
    pub held_back: Option<HeldBack>,
    /// Whether its next step calls the provider, and waits while that wants no calls.
    #[serde(skip)]
    pub calls_the_provider: bool,
    /// Holds that apply to it.
    pub held: Vec<HoldReport>,
    /// What a due rotation waits for, beside its window.
    pub waits_for: Option<String>,
    pub aborts: u32,
    pub rotation: Option<RotationReport>,
    pub obstacle: Option<Obstacle>,
    /// Findings of the last inspection, the worst first.
    pub findings: Vec<Finding>,
    /// Consumers that report that a key of the credential does not work for them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing_consumers: Vec<FailingConsumer>,
    /// Required consumers whose acknowledgement has expired.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stale_consumers: Vec<StaleConsumer>,
    /// When and why the last emergency rotation was completed.
    pub last_emergency: Option<EmergencyOutcome>,
    pub destinations: Vec<DestinationReport>,
    /// Destinations that left the policy and still hold a key that rekeyd published there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub left_destinations: Vec<LeftReport>,
    /// Some destinations serve the new key, and some do not.
    pub partially_published: bool,
    pub last: Option<LastRotation>,
    /// Why no rotation can start before the key expires, if that is near. For metrics.
    #[serde(skip)]
    pub unrotated: Option<Unrotated>,
    /// Whether its rotation is in progress although it is no longer in the policy. For metrics.
    #[serde(skip)]
    pub removed: bool,
    /// How its journal rows are damaged, if they are.
    pub damage: Option<String>,
}

/// The inputs of a report. `policy` is `None` if there is none, or if it no longer has the credential.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub record: &'a Record,
    pub rotation: Option<&'a Rotation>,
    /// The evidence for gates and stale consumers; without acknowledgements where neither needs them.
    pub evidence: &'a Evidence,
    pub policy: Option<&'a Credential>,
}

impl CredentialReport {
    #[must_use]
    pub fn new(facts: Facts<'_>, now: Timestamp) -> Self {
        let Facts { record, rotation, evidence, policy } = facts;
        let current = record.current.as_ref();
        let is_observed = policy.is_some_and(|policy| policy.mode == Mode::Observe);
        let scheduled = record.due.as_ref().map(|due| due.at);
        let expiry = policy.and_then(|policy| record.expiry_deadline(policy));
        let due = [scheduled, expiry].into_iter().flatten().min().filter(|_| !is_observed);
        let destinations = destinations::destinations(facts);
        let served = destinations.iter().filter(|place| place.state == DestinationState::Current).count();
        let mut report = Self {
            credential: record.credential.clone(),
            health: CredentialHealth::Fine,
            attention: false,
            summary: String::new(),
            next_command: None,
            workspace: rotation
                .map(|rotation| rotation.plan.workspace.clone())
                .or_else(|| policy.map(|policy| policy.workspace.clone())),
            mode: policy.map(|policy| policy.mode),
            account: record.account.clone(),
            sharing_groups: record.sharing_groups.clone(),
            key_id: current.map(|current| current.key.clone()),
            fingerprint: current.and_then(|current| current.fingerprint.clone()),
            key_since: current.map(|current| current.since),
            key_expires_at: current.and_then(|current| expiry::of_current(current, rotation)),
            last_use: policy.and_then(|policy| last_use(record, policy)),
            next_due: due.filter(|_| rotation.is_none()),
            requested: record.asked,
            due,
            due_by_expiry: due.is_some() && due == expiry,
            blocked: blocked::by_itself(record, rotation.is_some(), policy, now),
            held_back: None,
            calls_the_provider: rotation.is_some_and(calls_the_provider),
            held: Vec::new(),
            waits_for: None,
            aborts: record.aborts,
            rotation: rotation.map(|rotation| RotationReport::new(rotation, evidence, now)),
            obstacle: record.obstacle.clone(),
            findings: record.findings.clone(),
            failing_consumers: failing::find(facts),
            stale_consumers: stale_consumers::find(policy, &evidence.acks, now),
            last_emergency: record.answered.clone(),
            partially_published: rotation.is_some() && served > 0 && served < destinations.len(),
            destinations,
            left_destinations: Vec::new(),
            last: record.last.clone(),
            unrotated: None,
            removed: false,
            damage: None,
        };
        let under_way = rotation.zip(report.rotation.as_ref());
        report.held_back = held_back::by_itself(record, under_way, policy, report.blocked, now);
        if let Some(held) = report.held_back.as_ref().filter(|held| held.alone) {
            report.blocked = Some(held.by);
        }
        let advice = advice::advise(&report, rotation, now);
        report.health = advice.health;
        report.attention = advice.attention;
        report.summary = advice.summary;
        report.next_command = advice.command;
        report
    }

    /// A credential whose journal rows are damaged: nothing else of it is known.
    #[must_use]
    pub fn damaged(credential: &CredentialName, damage: String) -> Self {
        Self {
            attention: true,
            health: CredentialHealth::Damaged,
            summary: format!("{damage}; the daemon leaves the credential alone until the record is repaired"),
            next_command: Some(format!("rekeyd repair {credential}")),
            damage: Some(damage),
            ..Self::new(
                Facts {
                    record: &Record::new(credential.clone()),
                    rotation: None,
                    evidence: &Evidence::default(),
                    policy: None,
                },
                Timestamp::UNIX_EPOCH,
            )
        }
    }

    /// Destinations that nobody reads yet: they held no key when they were last read.
    pub fn empty_destinations(&self) -> impl Iterator<Item = &str> {
        self.destinations.iter().filter(|place| place.is_empty).map(|place| place.destination.as_str())
    }

    #[must_use]
    pub fn phase(&self) -> Option<PhaseName> {
        self.rotation.as_ref().map(|rotation| rotation.phase)
    }
}

fn calls_the_provider(rotation: &Rotation) -> bool {
    effect::pending(rotation).is_some_and(|effect| !effect::is_of_safety(effect, rotation, false))
}

/// What is known of the use of the key on record, and not of one before it.
fn last_use(record: &Record, policy: &Credential) -> Option<LastUse> {
    let current = record.current.as_ref()?;
    let known = record.last_use.as_ref().filter(|known| known.key == current.key);
    known.filter(|_| record.is_unrotated(policy)).cloned()
}
