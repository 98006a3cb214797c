//! Checks what service accounts are created with.

use crate::config::raw::{self, At};
use crate::config_file::findings::Findings;
use crate::domain::sharing::SharingGroups;

/// An account that is not there has no key to adopt, so its first one has to be described.
pub(super) fn create_account(
    name: &At<String>,
    raw: &raw::Credential,
    findings: &mut Findings,
) -> Option<SharingGroups> {
    let written = raw.create_account.as_ref()?;
    if let Some(adopt) = &raw.adopt {
        let rule = "`adopt` with `create_account`: a service account that is created has no key";
        findings.error(&adopt.span(), rule, "remove one of the two");
    }
    if raw.permissions.is_none() {
        let rule = "`create_account` without `permissions`";
        let help = "set the permissions of the first key, such as `permissions = [\"text_to_speech\"]`";
        findings.error(&name.span(), rule, help);
    }
    let mut groups = SharingGroups::default();
    // That they are missing is said already.
    let listed = written.groups.as_ref()?;
    for group in listed {
        if let Err(rule) = groups.add(group.value().as_str()) {
            findings.error(&group.span(), rule, "use the ID of a group, or for example \"ID:editor\"");
        }
    }
    Some(groups)
}
