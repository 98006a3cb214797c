//! The links of one credential to other systems, by the templates of the policy.

use crate::domain::links::{LinkTemplate, Links, Placeholder};
use crate::domain::policy::Credential;
use crate::domain::report::CredentialReport;

#[derive(Default)]
pub(super) struct Outward {
    pub(super) workspace: Option<String>,
    pub(super) grafana: Option<String>,
    /// Of each destination of the report.
    secrets: Vec<Option<String>>,
}

impl Outward {
    pub(super) fn new(links: &Links, report: &CredentialReport, credential: Option<&Credential>) -> Self {
        let value = |placeholder| match placeholder {
            Placeholder::Credential => Some(report.credential.as_str()),
            Placeholder::Workspace => report.workspace.as_ref().map(|it| it.as_str()),
            Placeholder::Account => report.account.as_ref().map(|it| it.as_str()),
            Placeholder::Key => report.key_id.as_ref().map(|it| it.as_str()),
            Placeholder::Store | Placeholder::Secret => None,
        };
        let fill = |template: &Option<LinkTemplate>| template.as_ref()?.fill(value);
        // A report names a destination as text; the policy has its parts.
        let secret = |shown: &str| {
            let destination = credential?.destinations.iter().find(|it| it.to_string() == shown)?;
            links.secrets.get(&destination.store)?.fill(|placeholder| match placeholder {
                Placeholder::Store => Some(destination.store.as_str()),
                Placeholder::Secret => Some(destination.secret.as_str()),
                Placeholder::Credential
                | Placeholder::Workspace
                | Placeholder::Account
                | Placeholder::Key => value(placeholder),
            })
        };
        Self {
            workspace: fill(&links.workspace),
            grafana: fill(&links.grafana),
            secrets: report.destinations.iter().map(|it| secret(&it.destination)).collect(),
        }
    }

    pub(super) fn secret(&self, index: usize) -> Option<&str> {
        self.secrets.get(index)?.as_deref()
    }
}
