//! Why a credential is where it is: its report, and all that its gates were judged by.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::gate::Observed;
use crate::domain::gate::probe::{CommandRun, InstanceReport, ProbeRound};
use crate::domain::report::condition::Condition;
use crate::domain::report::consumers::UseReport;
use crate::domain::report::{CredentialReport, SCHEMA_VERSION};
use crate::domain::usage::{KeyUse, Source, SourceEvidence};

/// Everything that the journal knows about one credential's present state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WhyReport {
    pub schema_version: u32,
    pub at: Timestamp,
    pub credential: CredentialReport,
    /// What was observed during the rotation under way; `null` if nothing was, or nothing had to be.
    pub evidence: Option<EvidenceReport>,
    pub consumers: Vec<UseReport>,
    /// What the daemon says beside its credentials: empty if none was asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Condition>,
}

impl WhyReport {
    #[must_use]
    pub fn new(
        credential: CredentialReport,
        observed: Option<&Observed>,
        consumers: Vec<UseReport>,
        at: Timestamp,
    ) -> Self {
        let evidence = observed.map(EvidenceReport::new);
        Self { schema_version: SCHEMA_VERSION, at, credential, evidence, consumers, remarks: Vec::new() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EvidenceReport {
    pub gathered_at: Option<Timestamp>,
    /// It is about whether everybody has the old key again.
    pub way_back: bool,
    pub sources: Vec<SourceReport>,
    /// When rekeyd used the new key itself, to see evidence of that.
    pub canaries: Vec<Timestamp>,
    pub probes: Vec<ProbeRound>,
    pub command: Option<CommandRun>,
}

/// What one source of the provider's has shown since the overlap began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    pub source: Source,
    pub answered_at: Option<Timestamp>,
    /// From when on its answers leave no gap.
    pub covers_from: Option<Timestamp>,
    /// The longest that it took to show use of the new key, as far as that was measured.
    pub late_by_seconds: i64,
    /// Why it did not answer the newest question.
    pub blind: Option<String>,
    pub old_key: KeyUse,
    pub new_key: KeyUse,
}

impl EvidenceReport {
    fn new(observed: &Observed) -> Self {
        Self {
            gathered_at: observed.gathered_at,
            way_back: observed.way_back,
            sources: observed.usage.iter().map(|seen| SourceReport::new(seen, observed.way_back)).collect(),
            canaries: observed.canaries.clone(),
            probes: observed.probes.iter().map(|finding| told(finding, observed.way_back)).collect(),
            command: observed.command.clone(),
        }
    }
}

impl SourceReport {
    /// On the way back, what is observed as the old key is the one that has to go: the new one.
    fn new(seen: &SourceEvidence, way_back: bool) -> Self {
        let (old, new) = if way_back { (&seen.new, &seen.old) } else { (&seen.old, &seen.new) };
        Self {
            source: seen.source,
            answered_at: seen.answered_at,
            covers_from: seen.covers_from,
            late_by_seconds: seen.delay.as_secs(),
            blind: seen.blind.clone(),
            old_key: old.clone(),
            new_key: new.clone(),
        }
    }
}

/// The finding with the keys by their own names, whichever of them is wanted.
fn told(finding: &ProbeRound, way_back: bool) -> ProbeRound {
    let mut told = finding.clone();
    for instance in told.instances.iter_mut().filter(|_| way_back) {
        instance.says = match &instance.says {
            InstanceReport::TheNewKey => InstanceReport::TheOldKey,
            InstanceReport::TheOldKey => InstanceReport::TheNewKey,
            says @ (InstanceReport::SomethingElse | InstanceReport::Nothing(_)) => says.clone(),
        };
    }
    told
}
