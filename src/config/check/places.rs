//! What only one credential may have: a place to be published to, a service account's key.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::config::check::credentials::Written;
use crate::config_file::findings::Findings;
use crate::domain::ids::{CredentialName, StoreName, WorkspaceName};
use crate::domain::plan::Destination;
use crate::ports::store_kind::StoreConfig;

pub(super) fn check(
    written: &[Written<'_>],
    stores: &BTreeMap<StoreName, Arc<dyn StoreConfig>>,
    findings: &mut Findings,
) {
    destinations(written, findings);
    accounts(written, findings);
    create_matters(written, stores, findings);
}

/// No two destinations may be the same secret, unless they are fields of it that belong to different credentials.
fn destinations(written: &[Written<'_>], findings: &mut Findings) {
    type Claim<'c> = (&'c CredentialName, &'c Destination);
    let mut claims: BTreeMap<(&StoreName, &str), Vec<Claim<'_>>> = BTreeMap::new();
    for one in in_order(written) {
        for (destination, span) in one.credential.destinations.iter().zip(&one.places) {
            let name = &one.credential.name;
            let earlier = claims.entry((&destination.store, destination.secret.as_str())).or_default();
            if let Some((other, _)) = earlier.iter().find(|(_, it)| it.json_field == destination.json_field) {
                let rule = format!("`{other}` is published to the same place");
                findings.error(span, rule, "give each credential a place of its own");
            } else if earlier.iter().any(|(other, _)| *other == name) {
                let rule = "one credential cannot be two fields of the same secret";
                findings.error(span, rule, "keep one of the two, and let consumers read that field");
            } else if let Some((other, _)) =
                earlier.iter().find(|(_, it)| it.json_field.is_none() || destination.json_field.is_none())
            {
                let rule =
                    format!("`{other}` is published to the same secret, and one of the two is all of it");
                findings.error(span, rule, "use another secret, or a `json_field` for both");
            }
            earlier.push((name, destination));
        }
    }
}

/// Two credentials on one service account would each take the other's key for a stranger's, or for their own: they
/// must say which key is whose.
fn accounts(written: &[Written<'_>], findings: &mut Findings) {
    let mut known: BTreeMap<(&WorkspaceName, &str), Vec<&Written<'_>>> = BTreeMap::new();
    for one in in_order(written) {
        let credential = &one.credential;
        let sharers = known.entry((&credential.workspace, credential.service_account.as_str())).or_default();
        for other in sharers.iter() {
            let name = &other.credential.name;
            let help = "give each credential a service account of its own, or an `adopt` of its own to both";
            match (&credential.adopt, &other.credential.adopt, &one.raw.adopt, &one.raw.service_account) {
                (Some(mine), Some(its), Some(at), _) if mine == its => {
                    findings.error(&at.span(), format!("`{name}` adopts the same key"), help);
                }
                (Some(_), Some(_), _, _) => {}
                (_, _, _, Some(at)) => {
                    let rule = format!(
                        "`{name}` has the same service account, and it is not said which key is whose"
                    );
                    findings.error(&at.span(), rule, help);
                }
                (_, _, _, None) => {}
            }
        }
        sharers.push(one);
    }
}

/// A secret that is not to be created in a store that rekeyd alone fills will never exist.
fn create_matters(
    written: &[Written<'_>],
    stores: &BTreeMap<StoreName, Arc<dyn StoreConfig>>,
    findings: &mut Findings,
) {
    for one in written {
        for (destination, span) in one.credential.destinations.iter().zip(&one.places) {
            let Some(kind) = stores.get(&destination.store).map(|store| store.kind()) else { continue };
            if kind.is_filled_by_rekeyd && !destination.create {
                let rule =
                    format!("this is not to be created, and nobody else creates secrets in {}", kind.title);
                findings.lint(span, rule, "take `create = false` out");
            }
        }
    }
}

/// The credentials in the order of the file, so that the later of two is reported.
fn in_order<'w, 'r>(written: &'w [Written<'r>]) -> Vec<&'w Written<'r>> {
    let mut sorted: Vec<&Written<'_>> = written.iter().collect();
    sorted.sort_by_key(|one| {
        let Range { start, .. } = one.name.span();
        start
    });
    sorted
}
