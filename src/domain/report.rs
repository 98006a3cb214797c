//! What is told of each credential: the one source of `rekeyd status`, the HTTP status and the metrics (I9).
//!
//! Everything is derived from the journal, the policy where it is at hand, and the time. The field names are a
//! promise to those who read the JSON: [`SCHEMA_VERSION`] changes when one of them changes its meaning or goes.

pub mod advice;
pub mod blocked;
pub mod condition;
pub mod consumers;
pub mod destinations;
pub mod findings;
pub mod history;
pub mod holds;
pub mod progress;
pub mod rollback;
pub mod stale_consumers;
pub mod why;

use std::cmp::Reverse;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::effect::EffectName;
use crate::domain::emergency::Answered;
use crate::domain::failure::Kind;
use crate::domain::finding::Finding;
use crate::domain::gate::{self, Evidence, Verdict};
use crate::domain::ids::{CredentialName, KeyId, RotationId, ServiceAccountId, WorkspaceName};
use crate::domain::notification::Failing;
use crate::domain::phase::{Phase, PhaseName};
use crate::domain::plan::{Reason, Urgency};
use crate::domain::policy::Credential;
use crate::domain::record::{LastRotation, Obstacle, Record};
use crate::domain::report::blocked::{Blocked, SourceDelay};
use crate::domain::report::condition::Condition;
use crate::domain::report::destinations::{DestinationReport, PlaceState};
use crate::domain::report::holds::HoldReport;
use crate::domain::report::rollback::RollbackReport;
use crate::domain::report::stale_consumers::SilentReport;
use crate::domain::rotation::{ParkReason, Rotation};
use crate::domain::secret::Fingerprint;
use crate::domain::time::later;

pub const SCHEMA_VERSION: u32 = 1;

/// Every credential, the worst first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct StatusReport {
    pub schema_version: u32,
    pub at: Timestamp,
    /// Whether any credential needs a person.
    pub attention: bool,
    pub credentials: Vec<CredentialReport>,
    /// What must not be done until somebody says so.
    pub holds: Vec<HoldReport>,
    /// Channels of notifications that fail: somebody may not have been told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failing_channels: Vec<Failing>,
    /// What the daemon says beside the credentials: empty if none was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Condition>,
}

impl StatusReport {
    #[must_use]
    pub fn new(mut credentials: Vec<CredentialReport>, at: Timestamp) -> Self {
        credentials.sort_by(|one, other| {
            let rank = |report: &CredentialReport| (Reverse(report.condition), !report.attention);
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
            remarks: Vec::new(),
        }
    }

    /// Adds the channels that fail, which need a person: nobody else will be told.
    #[must_use]
    pub fn told_by(mut self, failing: Vec<Failing>) -> Self {
        self.attention |= !failing.is_empty();
        self.failing_channels = failing;
        self
    }
}

/// How a credential fares, from well to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CredentialHealth {
    /// Nothing is under way.
    Fine,
    /// A rotation is under way and makes progress.
    Rotating,
    /// A rotation waits for time, for consumers, for its turn, or until it is no longer held.
    Waiting,
    /// The next step failed and is tried again.
    Hindered,
    /// Nothing is under way, and something is not as it should be outside.
    Drifted,
    /// A rotation needs an operator.
    Parked,
    /// No rotation can begin.
    Blocked,
    /// Its rows in the journal are damaged: nothing is done to it.
    Damaged,
}

impl CredentialHealth {
    pub const ALL: [Self; 8] = [
        Self::Fine,
        Self::Rotating,
        Self::Waiting,
        Self::Hindered,
        Self::Drifted,
        Self::Parked,
        Self::Blocked,
        Self::Damaged,
    ];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Rotating => "rotating",
            Self::Waiting => "waiting",
            Self::Hindered => "hindered",
            Self::Drifted => "drifted",
            Self::Parked => "parked",
            Self::Blocked => "blocked",
            Self::Damaged => "damaged",
        }
    }
}

/// All that is told of one credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CredentialReport {
    pub credential: CredentialName,
    pub condition: CredentialHealth,
    /// Whether it needs a person.
    pub attention: bool,
    /// What is going on, in one line for a person.
    pub summary: String,
    /// What an operator would type next.
    pub next_command: Option<String>,
    pub workspace: Option<WorkspaceName>,
    pub account: Option<ServiceAccountId>,
    pub key_id: Option<KeyId>,
    pub fingerprint: Option<Fingerprint>,
    pub key_since: Option<Timestamp>,
    pub key_expires_at: Option<Timestamp>,
    /// When it is due by its schedule. While a rotation is under way, the one after it is not known yet.
    pub next_due: Option<Timestamp>,
    pub asked: bool,
    /// When it is due by its schedule, or was, if a rotation is under way. For metrics.
    #[serde(skip)]
    pub due: Option<Timestamp>,
    /// What keeps a rotation that is wanted from beginning, or from going on. For metrics: the summary says it in words.
    #[serde(skip)]
    pub blocked: Option<Blocked>,
    /// What must not be done with it, and by whose word.
    pub held: Vec<HoldReport>,
    /// What a rotation that is due has to wait for, beside its window.
    pub waits_for: Option<String>,
    pub aborts: u32,
    pub rotation: Option<RotationReport>,
    pub obstacle: Option<Obstacle>,
    /// What is wrong outside, as of the last inspection; the worst first.
    pub findings: Vec<Finding>,
    /// Who is waited for, was heard of, and says nothing any more.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub silent: Vec<SilentReport>,
    /// How the last emergency was answered.
    pub answered: Option<EmergencyOutcome>,
    pub destinations: Vec<DestinationReport>,
    /// Some destinations serve the new key and some do not.
    pub partially_published: bool,
    pub last: Option<LastRotation>,
    /// Where the journal is damaged and how, if it is.
    pub damage: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RotationReport {
    pub id: RotationId,
    pub reason: Reason,
    pub begun_at: Timestamp,
    pub phase: PhaseName,
    pub phase_since: Timestamp,
    /// For a parked rotation, the phase that it goes on from.
    pub parked_in: Option<PhaseName>,
    /// How many keys it intended to create so far.
    pub attempt: u32,
    pub old_key_id: Option<KeyId>,
    pub new_key_id: Option<KeyId>,
    pub new_fingerprint: Option<Fingerprint>,
    /// The earliest end of a phase that waits for time.
    pub waits_until: Option<Timestamp>,
    /// When the overlap has lasted as long as the policy allows.
    pub deadline: Option<Timestamp>,
    /// What each gate says, during the overlap.
    pub gates: Vec<Verdict>,
    /// How late and how blind the provider's evidence is. For metrics: [`why::WhyReport`] has all of it.
    #[serde(skip)]
    pub evidence: Vec<SourceDelay>,
    /// Nothing is waited for: the old key is, or may be, in wrong hands.
    pub emergency: bool,
    /// Why, and since when that is known.
    pub urgency: Option<Urgency>,
    /// When the provider lets the old key expire by itself, where it was told to.
    pub old_key_expires_at: Option<Timestamp>,
    pub rollback: RollbackReport,
    pub parked: Option<ParkedReport>,
    pub last_failure: Option<FailureReport>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ParkedReport {
    pub reason: ParkReason,
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FailureReport {
    pub effect: EffectName,
    pub kind: Kind,
    pub failures: u32,
    pub since: Timestamp,
    pub last_at: Timestamp,
    pub message: String,
}

/// What a report is made from. `policy` is `None` where it is not at hand, or no longer knows the credential.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    pub record: &'a Record,
    pub rotation: Option<&'a Rotation>,
    /// What the gates are judged by, and whether a consumer is silent; without acknowledgements where neither is asked.
    pub evidence: &'a Evidence,
    pub policy: Option<&'a Credential>,
}

impl CredentialReport {
    #[must_use]
    pub fn new(facts: Facts<'_>, now: Timestamp) -> Self {
        let Facts { record, rotation, evidence, policy } = facts;
        let current = record.current.as_ref();
        let destinations = destinations::destinations(facts);
        let served = destinations.iter().filter(|place| place.state == PlaceState::Current).count();
        let mut report = Self {
            credential: record.credential.clone(),
            condition: CredentialHealth::Fine,
            attention: false,
            summary: String::new(),
            next_command: None,
            workspace: rotation
                .map(|rotation| rotation.plan.workspace.clone())
                .or_else(|| policy.map(|policy| policy.workspace.clone())),
            account: record.account.clone(),
            key_id: current.map(|current| current.key.clone()),
            fingerprint: current.and_then(|current| current.fingerprint.clone()),
            key_since: current.map(|current| current.since),
            key_expires_at: current.and_then(|current| current.expires_at),
            next_due: record.due.as_ref().filter(|_| rotation.is_none()).map(|due| due.at),
            asked: record.asked,
            due: record.due.as_ref().map(|due| due.at),
            blocked: blocked::by_itself(record, rotation.is_some(), policy, now),
            held: Vec::new(),
            waits_for: None,
            aborts: record.aborts,
            rotation: rotation.map(|rotation| RotationReport::new(rotation, evidence, now)),
            obstacle: record.obstacle.clone(),
            findings: record.findings.clone(),
            silent: stale_consumers::silent(policy, &evidence.acks, now),
            answered: record.answered.clone(),
            partially_published: rotation.is_some() && served > 0 && served < destinations.len(),
            destinations,
            last: record.last.clone(),
            damage: None,
        };
        let advice = advice::advise(&report, rotation, now);
        report.condition = advice.condition;
        report.attention = advice.attention;
        report.summary = advice.summary;
        report.next_command = advice.command;
        report
    }

    /// A credential whose rows in the journal are damaged: nothing else of it is known.
    #[must_use]
    pub fn damaged(credential: &CredentialName, damage: String) -> Self {
        Self {
            attention: true,
            condition: CredentialHealth::Damaged,
            summary: format!("{damage}; nothing is done to it until that is mended"),
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

    #[must_use]
    pub fn phase(&self) -> Option<PhaseName> {
        self.rotation.as_ref().map(|rotation| rotation.phase)
    }
}

impl RotationReport {
    fn new(rotation: &Rotation, evidence: &Evidence, now: Timestamp) -> Self {
        let Rotation {
            plan,
            length: _,
            phase,
            since,
            attempt,
            attempts_max: _,
            last_failure,
            overlap_began,
            dead_man,
            entered: _,
            clock_agreed: _,
        } = rotation;
        let overlap_since = overlap_began.unwrap_or(*since);
        let successor = rotation.successor();
        let mut waits_until = None;
        let mut deadline = None;
        let mut gates = Vec::new();
        if let Phase::Overlap(successor) = phase {
            gates = gate::judge(&plan.terms, &successor.fingerprint, evidence, overlap_since, now);
            waits_until = Some(later(overlap_since, plan.terms.at_least));
            deadline = Some(later(overlap_since, plan.terms.at_most));
        } else if let Phase::Quarantine(_) = phase {
            waits_until = Some(later(*since, plan.terms.quarantine));
        }
        let (parked, parked_in) = if let Phase::Parked { reason, detail, was } = phase {
            (Some(ParkedReport { reason: *reason, detail: detail.clone() }), Some(was.name()))
        } else {
            (None, None)
        };
        Self {
            id: plan.rotation,
            reason: plan.reason,
            begun_at: plan.begun_at,
            phase: phase.name(),
            phase_since: *since,
            parked_in,
            attempt: *attempt,
            old_key_id: plan.old.clone(),
            new_key_id: successor.map(|successor| successor.key.clone()),
            new_fingerprint: successor.map(|successor| successor.fingerprint.clone()),
            waits_until,
            deadline,
            gates,
            evidence: blocked::delays(evidence),
            emergency: plan.emergency,
            urgency: plan.urgency.clone(),
            old_key_expires_at: dead_man.filter(|dead_man| dead_man.is_in_force()).map(|it| it.at),
            rollback: RollbackReport::new(rotation, now),
            parked,
            last_failure: last_failure.as_ref().map(|last_failure| FailureReport {
                effect: last_failure.effect,
                kind: last_failure.last.kind,
                failures: last_failure.failures,
                since: last_failure.first_at,
                last_at: last_failure.last_at,
                message: last_failure.last.to_string(),
            }),
        }
    }
}
