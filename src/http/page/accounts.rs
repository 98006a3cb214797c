//! What service accounts are called: by the newest listing of the workspace, else by the policy.

use crate::domain::policy::{Credential, Policy};
use crate::domain::report::CredentialReport;
use crate::engine::WorkspaceHealth;
use crate::telemetry::observation::Observation;

pub(super) struct Accounts<'a> {
    observation: &'a Observation,
    policy: &'a Policy,
}

impl<'a> Accounts<'a> {
    pub(super) fn new(observation: &'a Observation, policy: &'a Policy) -> Self {
        Self { observation, policy }
    }

    /// `None` if only its id is known.
    pub(super) fn name(&self, report: &CredentialReport) -> Option<&'a str> {
        let health = report.workspace.as_ref().and_then(|name| self.observation.workspaces.get(name));
        name(report, health, self.policy.credentials.get(&report.credential))
    }
}

/// `None` if only its id is known.
pub(super) fn name<'a>(
    report: &CredentialReport,
    health: Option<&'a WorkspaceHealth>,
    credential: Option<&'a Credential>,
) -> Option<&'a str> {
    let id = report.account.as_ref();
    let listed = id.and_then(|id| health?.accounts.get(id)).map(String::as_str);
    let written = credential.map(|credential| credential.service_account.as_str());
    listed.or(written).filter(|name| id.is_none_or(|id| id.as_str() != *name))
}
