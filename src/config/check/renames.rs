//! Checks the names that credentials had before.

use std::collections::BTreeMap;

use crate::config::raw;
use crate::config_file::findings::Findings;
use crate::domain::ids::CredentialName;

pub(super) fn check(raw: &raw::Policy, findings: &mut Findings) -> BTreeMap<CredentialName, CredentialName> {
    let mut renames: BTreeMap<CredentialName, CredentialName> = BTreeMap::new();
    for (name, credential) in &raw.credentials {
        let Some(written) = &credential.renamed_from else { continue };
        let span = written.span();
        let Ok(old) = CredentialName::new(written.value().as_str()) else {
            findings.error(&span, "not a credential name", "write the name that the credential had before");
            continue;
        };
        if raw.credentials.keys().any(|declared| declared.value() == old.as_str()) {
            let rule = format!("`{old}` is still in the policy");
            findings.error(&span, rule, "remove its table, or remove `renamed_from`");
        } else if renames.values().any(|other| *other == old) {
            let rule = format!("another credential was renamed from `{old}` too");
            findings.error(&span, rule, "keep one of the two");
        } else if let Ok(name) = CredentialName::new(name.value().as_str()) {
            renames.insert(name, old);
        }
    }
    renames
}
