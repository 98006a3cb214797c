//! Checks that no two credentials share a destination or a service account's key.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::config::check::credentials::CheckedCredential;
use crate::config_file::findings::Findings;
use crate::domain::ids::{CredentialName, StoreName, WorkspaceName};
use crate::domain::place::{self, Place, Rival, SamePlace};
use crate::domain::plan::Destination;
use crate::ports::store_kind::StoreConfig;

/// Each credential's destinations that may be one of another's under another name.
pub(super) type Rivals = BTreeMap<CredentialName, Vec<Rival>>;

pub(super) fn check(
    written: &[CheckedCredential<'_>],
    stores: &BTreeMap<StoreName, Arc<dyn StoreConfig>>,
    findings: &mut Findings,
) -> Rivals {
    let rivals = destinations(written, stores, findings);
    accounts(written, findings);
    create_matters(written, stores, findings);
    rivals
}

/// A destination of the policy, and the place that it is.
struct Claim<'c> {
    credential: &'c CredentialName,
    destination: &'c Destination,
    place: Place,
}

impl Claim<'_> {
    fn compare(&self, other: &Self) -> SamePlace {
        self.place.compare(&other.place)
    }

    /// What an operator is told of two names of one secret; of one name, nothing.
    fn other_name(&self, other: &Self) -> Option<String> {
        let rival = Rival {
            own: self.destination.clone(),
            credential: other.credential.clone(),
            its: other.destination.clone(),
        };
        let is_same_name = (&rival.own.store, &rival.own.secret) == (&rival.its.store, &rival.its.secret);
        (!is_same_name).then(|| place::told(self.credential, &rival))
    }
}

/// Two destinations may share a secret only as different fields of different credentials. Where only the stores know
/// whether two are one secret, they are compared before anything is created.
fn destinations(
    written: &[CheckedCredential<'_>],
    stores: &BTreeMap<StoreName, Arc<dyn StoreConfig>>,
    findings: &mut Findings,
) -> Rivals {
    let mut rivals = Rivals::new();
    let mut claims: Vec<Claim<'_>> = Vec::new();
    let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for one in in_order(written) {
        for (destination, span) in one.credential.destinations.iter().zip(&one.places) {
            let Some(store) = stores.get(&destination.store) else { continue };
            let place = store.place(&destination.secret);
            let claim = Claim { credential: &one.credential.name, destination, place };
            let names: BTreeSet<&str> = claim.place.names().collect();
            let earlier: BTreeSet<usize> =
                names.iter().filter_map(|name| by_name.get(*name)).flatten().copied().collect();
            let earlier: Vec<&Claim<'_>> = earlier.iter().filter_map(|index| claims.get(*index)).collect();
            let one_secret: Vec<&Claim<'_>> =
                earlier.iter().copied().filter(|it| it.compare(&claim) == SamePlace::Yes).collect();
            if let Some((rule, help)) = conflict(&claim, &one_secret) {
                findings.error(span, rule, help);
            }
            for it in earlier.iter().filter(|it| it.compare(&claim) == SamePlace::Perhaps) {
                for (of, other) in [(&claim, *it), (*it, &claim)] {
                    let conflict = conflict(of, &[other]).is_some();
                    let rival = Rival {
                        own: of.destination.clone(),
                        credential: other.credential.clone(),
                        its: other.destination.clone(),
                    };
                    rivals.entry(of.credential.clone()).or_default().extend(conflict.then_some(rival));
                }
            }
            for name in names.into_iter().map(str::to_owned).collect::<Vec<_>>() {
                by_name.entry(name).or_default().push(claims.len());
            }
            claims.push(claim);
        }
    }
    rivals.retain(|_, rivals| !rivals.is_empty());
    rivals
}

/// Why a destination cannot be beside the `earlier` ones of the same secret, and what to do.
fn conflict(claim: &Claim<'_>, earlier: &[&Claim<'_>]) -> Option<(String, &'static str)> {
    const APART: &str =
        "use a separate secret for each; if the two are in different accounts, write both as ARNs";
    let field = |claim: &Claim<'_>| claim.destination.json_field.clone();
    if let Some(other) = earlier.iter().find(|it| field(it) == field(claim)) {
        return Some(match claim.other_name(other) {
            Some(told) => (told, APART),
            None => (
                format!("`{}` has the same destination", other.credential),
                "use a separate destination for each credential",
            ),
        });
    }
    if earlier.iter().any(|it| it.credential == claim.credential) {
        let rule = "a credential cannot be published to two fields of the same secret";
        return Some((rule.to_owned(), "keep one of the two"));
    }
    let other = earlier.iter().find(|it| field(it).is_none() || field(claim).is_none())?;
    Some(match claim.other_name(other) {
        Some(told) => (told, APART),
        None => {
            let rule = format!(
                "`{}` is published to the same secret, and one of the two has no `json_field`",
                other.credential
            );
            (rule, "use another secret, or set `json_field` on both")
        }
    })
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
