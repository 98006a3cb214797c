//! Where a workspace's admin key is to be found: a reference to a secret, the key of a credential, or both.

use std::collections::BTreeMap;

use crate::config::check::credentials::Written;
use crate::config::components::AdminKeyConfig;
use crate::config::raw::{self, At};
use crate::config_file::findings::Findings;
use crate::config_file::values;
use crate::domain::ids::CredentialName;

/// What one workspace says of its admin key; `declared` is the name of every credential, as written.
pub(super) fn reference(
    written: Option<&raw::AdminKey>,
    declared: &[&str],
    findings: &mut Findings,
) -> Option<AdminKeyConfig> {
    let raw::AdminKey { published, systemd_credential, file, env } = written?;
    let spans =
        [systemd_credential.as_ref().map(At::span), file.as_ref().map(At::span), env.as_ref().map(At::span)];
    if let Some(second) = spans.into_iter().flatten().nth(1) {
        let help = "keep one of `systemd_credential`, `file` and `env`; `published` may stand beside it";
        findings.error(&second, "the admin key can be in one place only", help);
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
    // What is wrong with it was reported.
    let is_whole = otherwise.is_some() == is_written && (is_written || published.is_some());
    is_whole.then_some(AdminKeyConfig { published, otherwise })
}

/// The credential has to be of that very workspace, and to be found somewhere as it is.
pub(super) fn check(
    workspaces: &BTreeMap<At<String>, raw::Workspace>,
    written: &[Written<'_>],
    findings: &mut Findings,
) {
    for (name, workspace) in workspaces {
        let Some(published) = workspace.admin_key.as_ref().and_then(|key| key.published.as_ref()) else {
            continue;
        };
        let named = |one: &&Written<'_>| one.credential.name.as_str() == published.value().as_str();
        let Some(credential) = written.iter().find(named).map(|one| &one.credential) else { continue };
        if credential.workspace.as_str() != name.value() {
            let rule = format!("this is a credential of the workspace `{}`", credential.workspace);
            let help = "name a credential of this workspace: only its keys can administer it";
            findings.error(&published.span(), rule, help);
        }
        if credential.destinations.iter().all(|destination| destination.json_field.is_some()) {
            let rule =
                "this credential is published as fields of secrets only, and the admin key is a whole one";
            let help = "give it one destination in `publish_to` without `json_field`";
            findings.error(&published.span(), rule, help);
        }
    }
}
