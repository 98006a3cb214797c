//! The report of one credential with all the evidence for its gates.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::gate::Observations;
use crate::domain::gate::command::CommandRun;
use crate::domain::gate::probes::{InstanceReport, ProbeRound};
use crate::domain::report::condition::Condition;
use crate::domain::report::consumers::UseReport;
use crate::domain::report::{CredentialReport, SCHEMA_VERSION};
use crate::domain::usage::{KeyUse, Source, SourceEvidence};

/// Everything that the journal has about one credential's current state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyReport {
    pub schema_version: u32,
    pub at: Timestamp,
    pub credential: CredentialReport,
    /// Evidence gathered during the rotation in progress; `null` if there is none.
    pub evidence: Option<EvidenceReport>,
    pub consumers: Vec<UseReport>,
    /// Conditions of the daemon itself; empty if no daemon answers.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

impl WhyReport {
    #[must_use]
    pub fn new(
        credential: CredentialReport,
        observed: Option<&Observations>,
        consumers: Vec<UseReport>,
        at: Timestamp,
    ) -> Self {
        let evidence = observed.map(EvidenceReport::new);
        Self { schema_version: SCHEMA_VERSION, at, credential, evidence, consumers, conditions: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EvidenceReport {
    pub gathered_at: Option<Timestamp>,
    /// Whether it is evidence for a rollback: that consumers use the old key again.
    pub rollback: bool,
    pub sources: Vec<SourceReport>,
    /// When rekeyd made test calls with the new key.
    pub canaries: Vec<Timestamp>,
    pub probes: Vec<ProbeRound>,
    pub command: Option<CommandRun>,
}

/// The evidence of one of the provider's sources since the overlap began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    pub source: Source,
    pub answered_at: Option<Timestamp>,
    /// The start of the gapless coverage.
    pub covers_from: Option<Timestamp>,
    /// The longest measured delay until use of the new key was shown.
    pub late_by_seconds: i64,
    /// Why the last query failed.
    pub blind: Option<String>,
    /// Since when every query has failed.
    pub blind_since: Option<Timestamp>,
    pub old_key: KeyUse,
    pub new_key: KeyUse,
}

impl EvidenceReport {
    fn new(observed: &Observations) -> Self {
        Self {
            gathered_at: observed.gathered_at,
            rollback: observed.way_back,
            sources: observed.usage.iter().map(|seen| SourceReport::new(seen, observed.way_back)).collect(),
            canaries: observed.canaries.clone(),
            probes: observed.probes.iter().map(|finding| unswapped(finding, observed.way_back)).collect(),
            command: observed.command.clone(),
        }
    }
}

impl SourceReport {
    /// During a rollback the roles are swapped: the key that has to go idle is the new one.
    fn new(seen: &SourceEvidence, way_back: bool) -> Self {
        let (old, new) = if way_back { (&seen.new, &seen.old) } else { (&seen.old, &seen.new) };
        Self {
            source: seen.source,
            answered_at: seen.answered_at,
            covers_from: seen.covers_from,
            late_by_seconds: seen.delay.as_secs(),
            blind: seen.blind.clone(),
            blind_since: seen.blind_since,
            old_key: old.clone(),
            new_key: new.clone(),
        }
    }
}

/// The finding with old and new key unswapped, also during a rollback.
fn unswapped(finding: &ProbeRound, way_back: bool) -> ProbeRound {
    let mut unswapped = finding.clone();
    for instance in unswapped.instances.iter_mut().filter(|_| way_back) {
        instance.says = match &instance.says {
            InstanceReport::TheNewKey => InstanceReport::TheOldKey,
            InstanceReport::TheOldKey => InstanceReport::TheNewKey,
            says @ (InstanceReport::SomethingElse | InstanceReport::Nothing(_)) => says.clone(),
        };
    }
    unswapped
}
