//! Checks that no two credentials share a destination or a service account's key.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::config::check::credentials::CheckedCredential;
use crate::config_file::findings::Findings;
use crate::domain::ids::{CredentialName, StoreName, WorkspaceName};
use crate::domain::plan::Destination;
use crate::ports::store_kind::StoreConfig;

pub(super) fn check(
    written: &[CheckedCredential<'_>],
    stores: &BTreeMap<StoreName, Arc<dyn StoreConfig>>,
    findings: &mut Findings,
) {
    destinations(written, findings);
    accounts(written, findings);
    create_matters(written, stores, findings);
}

/// Two destinations may share a secret only as different fields of different credentials.
fn destinations(written: &[CheckedCredential<'_>], findings: &mut Findings) {
    type Claim<'c> = (&'c CredentialName, &'c Destination);
    let mut claims: BTreeMap<(&StoreName, &str), Vec<Claim<'_>>> = BTreeMap::new();
    for one in in_order(written) {
        for (destination, span) in one.credential.destinations.iter().zip(&one.places) {
            let name = &one.credential.name;
            let earlier = claims.entry((&destination.store, destination.secret.as_str())).or_default();
            if let Some((other, _)) = earlier.iter().find(|(_, it)| it.json_field == destination.json_field) {
                let rule = format!("`{other}` has the same destination");
                findings.error(span, rule, "use a separate destination for each credential");
            } else if earlier.iter().any(|(other, _)| *other == name) {
                let rule = "a credential cannot be published to two fields of the same secret";
                findings.error(span, rule, "keep one of the two");
            } else if let Some((other, _)) =
                earlier.iter().find(|(_, it)| it.json_field.is_none() || destination.json_field.is_none())
            {
                let rule = format!(
                    "`{other}` is published to the same secret, and one of the two has no `json_field`"
                );
                findings.error(span, rule, "use another secret, or set `json_field` on both");
            }
            earlier.push((name, destination));
        }
    }
}

/// Two credentials of one service account could adopt each other's key, so each must set `adopt`.
fn accounts(written: &[CheckedCredential<'_>], findings: &mut Findings) {
    let mut known: BTreeMap<(&WorkspaceName, &str), Vec<&CheckedCredential<'_>>> = BTreeMap::new();
    for one in in_order(written) {
        let credential = &one.credential;
        let sharers = known.entry((&credential.workspace, credential.service_account.as_str())).or_default();
        for other in sharers.iter() {
            let name = &other.credential.name;
            let help = "use separate service accounts, or set a different `adopt` on each";
            match (&credential.adopt, &other.credential.adopt, &one.raw.adopt, &one.raw.service_account) {
                (Some(mine), Some(its), Some(at), _) if mine == its => {
                    findings.error(&at.span(), format!("`{name}` adopts the same key"), help);
                }
                (Some(_), Some(_), _, _) => {}
                (_, _, _, Some(at)) => {
                    let rule = format!("`{name}` has the same service account, and not both set `adopt`");
                    findings.error(&at.span(), rule, help);
                }
                (_, _, _, None) => {}
            }
        }
        sharers.push(one);
    }
}

/// Where only rekeyd creates secrets, `create = false` has no effect but failure.
fn create_matters(
    written: &[CheckedCredential<'_>],
    stores: &BTreeMap<StoreName, Arc<dyn StoreConfig>>,
    findings: &mut Findings,
) {
    for one in written {
        for (destination, span) in one.credential.destinations.iter().zip(&one.places) {
            let Some(kind) = stores.get(&destination.store).map(|store| store.kind()) else { continue };
            if kind.is_filled_by_rekeyd && !destination.create {
                let rule = format!("`create = false` in {}, where only rekeyd creates secrets", kind.title);
                findings.warning(span, rule, "remove `create = false`");
            }
        }
    }
}

/// The credentials in file order, so that the later of two is reported.
fn in_order<'w, 'r>(written: &'w [CheckedCredential<'r>]) -> Vec<&'w CheckedCredential<'r>> {
    let mut sorted: Vec<&CheckedCredential<'_>> = written.iter().collect();
    sorted.sort_by_key(|one| {
        let Range { start, .. } = one.name.span();
        start
    });
    sorted
}
