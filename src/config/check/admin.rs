//! Where a workspace's admin key is read from: a reference to a secret, a credential's key, or both.

use std::collections::BTreeMap;

use crate::config::check::credentials::CheckedCredential;
use crate::config::components::AdminKeyConfig;
use crate::config::raw::{self, At};
use crate::config_file::findings::Findings;
use crate::config_file::values;
use crate::domain::ids::CredentialName;

/// Checks the admin key of a workspace; `declared` has the name of every credential.
pub(super) fn reference(
    written: Option<&raw::AdminKey>,
    declared: &[&str],
    findings: &mut Findings,
) -> Option<AdminKeyConfig> {
    let raw::AdminKey { published, systemd_credential, file, env } = written?;
    let spans =
        [systemd_credential.as_ref().map(At::span), file.as_ref().map(At::span), env.as_ref().map(At::span)];
    if let Some(second) = spans.into_iter().flatten().nth(1) {
        let help = "keep one of `systemd_credential`, `file` and `env`; `published` may be set as well";
        findings.error(&second, "the admin key has more than one source", help);
        return None;
    }
    let is_written = [systemd_credential.is_some(), file.is_some(), env.is_some()].contains(&true);
    let otherwise =
        values::secret_reference(systemd_credential.as_ref(), file.as_ref(), env.as_ref(), findings);
    let published = match published {
        Some(published) => {
            let name = values::reference(published, "credential", declared, CredentialName::new, findings);
            Some(name?)
        }
        None => None,
    };
    // Its problems were reported.
    let is_whole = otherwise.is_some() == is_written && (is_written || published.is_some());
    is_whole.then_some(AdminKeyConfig { published, otherwise })
}

/// The credential must belong to this workspace and have a destination that is a whole secret.
pub(super) fn check(
    workspaces: &BTreeMap<At<String>, raw::Workspace>,
    written: &[CheckedCredential<'_>],
    findings: &mut Findings,
) {
    for (name, workspace) in workspaces {
        let Some(published) = workspace.admin_key.as_ref().and_then(|key| key.published.as_ref()) else {
            continue;
        };
        let named = |one: &&CheckedCredential<'_>| one.credential.name.as_str() == published.value().as_str();
        let Some(credential) = written.iter().find(named).map(|one| &one.credential) else { continue };
        if credential.workspace.as_str() != name.value() {
            let rule = format!("this credential belongs to the workspace `{}`", credential.workspace);
            let help = "use a credential of this workspace";
            findings.error(&published.span(), rule, help);
        }
        if credential.destinations.iter().all(|destination| destination.json_field.is_some()) {
            let rule =
                "this credential is published only as JSON fields, and the admin key must be a whole secret";
            let help = "add a destination to `publish_to` without `json_field`";
            findings.error(&published.span(), rule, help);
        }
    }
}
