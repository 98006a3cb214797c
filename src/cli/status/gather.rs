//! Gathers what `rekeyd status` tells from the journal and the policy.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::cli::journal::Sources;
use crate::domain::gate::Evidence;
use crate::domain::hold::Holds;
use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::mint_budget;
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::report::condition::{Condition, workspaces_by};
use crate::domain::report::failing;
use crate::domain::report::held_back::WorkspaceState;
use crate::domain::report::holds::Around;
use crate::domain::report::{CredentialReport, Facts, StatusReport};
use crate::domain::rotation::Rotation;
use crate::domain::time::earlier;
use crate::ports::journal::{JournalReader, ReadError};

/// The report with what `conditions` tell of workspaces.
pub(in crate::cli) fn read(
    sources: &Sources,
    conditions: &[Condition],
    now: Timestamp,
) -> Result<StatusReport, ReadError> {
    let Sources { journal, policy, socket: _ } = sources;
    let mut unrecorded = policy.credentials.clone();
    let mut reports = Vec::new();
    let mut records = BTreeMap::new();
    let holds = Holds::new(journal.holds()?);
    for (name, known) in journal.load()? {
        let policy = unrecorded.remove(&name);
        let read = known.map_err(|error| error.to_string()).and_then(|known| {
            let rotation = known.rotation.as_ref();
            let policy = policy.as_ref();
            let evidence =
                evidence(journal.as_ref(), &name, rotation, policy).map_err(|error| error.to_string())?;
            let facts = Facts { record: &known.record, rotation, evidence: &evidence, policy };
            let report = CredentialReport::new(facts, now);
            records.insert(name.clone(), known.record);
            Ok(report)
        });
        reports.push(read.unwrap_or_else(|damage| CredentialReport::damaged(&name, damage)));
    }
    reports.extend(unrecorded.into_iter().map(|(name, policy)| {
        let record = Record::new(name);
        CredentialReport::new(
            Facts { record: &record, rotation: None, evidence: &Evidence::default(), policy: Some(&policy) },
            now,
        )
    }));
    let workspaces = workspaces(sources, conditions, now)?;
    let around = Around { holds: &holds, policy, records: &records, workspaces: &workspaces };
    Ok(StatusReport::new(reports, now).with_holds(&around).with_failing_channels(journal.failing_channels()?))
}

fn workspaces(
    sources: &Sources,
    conditions: &[Condition],
    now: Timestamp,
) -> Result<BTreeMap<WorkspaceName, WorkspaceState>, ReadError> {
    let mut workspaces = workspaces_by(conditions);
    let since = earlier(now, mint_budget::PERIOD);
    for (name, limits) in &sources.policy.workspaces {
        let mints = sources.journal.mints_since(name, since)?;
        workspaces.entry(name.clone()).or_default().count_mints(limits, &mints, now);
    }
    Ok(workspaces)
}

/// The evidence for the gates of a rotation, and for stale consumers.
fn evidence(
    journal: &dyn JournalReader,
    name: &CredentialName,
    rotation: Option<&Rotation>,
    policy: Option<&Credential>,
) -> Result<Evidence, ReadError> {
    let mut evidence = Evidence::default();
    if failing::applies(rotation, policy) {
        evidence.acks = journal.acks(name)?;
    }
    if let Some(rotation) = rotation {
        evidence.observed = journal.observed(name, rotation.plan.rotation)?.unwrap_or_default();
    }
    Ok(evidence)
}
