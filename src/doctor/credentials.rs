//! Whether a credential can be rotated, as far as a listing of its workspace shows. Pure.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::adoption::{check_account, check_sharers, choose_key, find_account};
use crate::domain::examination::{Check, Finding};
use crate::domain::gate::Gate;
use crate::domain::key::{Account, Inventory, Key};
use crate::domain::policy::{Credential, Policy};
use crate::domain::record::{Obstacle, ObstacleKind, Record};
use crate::domain::sanitize::quoted;
use crate::domain::usage::Reading;

/// More enabled keys than these beside the one in use are a finding.
const OTHERS_MAX: usize = 2;

/// The checks that the daemon makes before a rotation.
pub(super) fn examine(
    credential: &Credential,
    policy: &Policy,
    inventory: &Inventory,
    record: Option<&Record>,
    readings: &[Reading],
    now: Timestamp,
) -> Vec<Finding> {
    let about = format!("credential `{}`", credential.name);
    let account = match find_account(credential, inventory, now) {
        Ok(account) => account,
        Err(obstacle) => return vec![blocked_by(&about, &obstacle)],
    };
    let shared = check_sharers(credential, account, policy, now);
    let moved = record.and_then(|record| record.account.as_ref());
    let moved = moved.map_or(Ok(()), |known| check_account(known, account, now));
    if let Err(obstacle) = shared.and(moved) {
        return vec![blocked_by(&about, &obstacle)];
    }
    let what = format!("is {} ({}); keys: {}", quoted(&account.name), account.id, account.keys.len());
    let mut findings = vec![Finding::fine(Check::ServiceAccount, &about, what)];
    let on_record = record.and_then(|record| record.current.as_ref());
    let key = match on_record {
        Some(current) => match account.keys.iter().find(|key| key.id == current.key) {
            Some(key) => key,
            None => {
                findings.push(vanished(&about, credential, current.key.as_str()));
                return findings;
            }
        },
        None => match choose_key(credential, account, &BTreeSet::new(), now) {
            Ok(Some(adopted)) => match account.keys.iter().find(|key| key.id == adopted.key) {
                Some(key) => key,
                None => return findings,
            },
            Ok(None) => {
                findings.push(Finding::fine(Check::Key, &about, "has no key: rekeyd creates the first one"));
                return findings;
            }
            Err(obstacle) => {
                findings.push(blocked_by(&about, &obstacle));
                return findings;
            }
        },
    };
    findings.push(of_key(&about, credential, account, key, on_record.is_some(), now));
    findings.extend(evidence(&about, credential, key, readings));
    findings
}

fn blocked_by(about: &str, obstacle: &Obstacle) -> Finding {
    let (check, fix) = match obstacle.kind {
        ObstacleKind::NoSuchAccount => (
            Check::ServiceAccount,
            "write the exact name or the id of an existing account as `service_account`",
        ),
        ObstacleKind::AdoptionUnclear => {
            (Check::Key, "write as `adopt` the id of the key that consumers use now")
        }
        ObstacleKind::NoPermissions => {
            (Check::Key, "write `permissions` for a first key, or create a key in the dashboard")
        }
        ObstacleKind::WorkspaceUnusable => (Check::AdminKey, "see the findings of the workspace"),
    };
    Finding::broken(check, about, obstacle.detail.clone(), fix)
}

fn vanished(about: &str, credential: &Credential, key: &str) -> Finding {
    let what = format!("its recorded key `{key}` is no longer in the workspace");
    let fix = format!("replace it: `rekeyd rotate {} --emergency`", credential.name);
    Finding::broken(Check::Key, about, what, fix)
}

fn of_key(
    about: &str,
    credential: &Credential,
    account: &Account,
    key: &Key,
    on_record: bool,
    now: Timestamp,
) -> Finding {
    let check = Check::Key;
    if !key.is_alive(now) {
        let what = format!("its key `{}` is disabled or expired: consumers are refused", key.id);
        let fix = format!("enable it in the dashboard, or `rekeyd rotate {} --emergency`", credential.name);
        return Finding::broken(check, about, what, fix);
    }
    let permissions = &key.grants.permissions;
    if permissions.is_unrestricted() && !credential.allow_unrestricted {
        let what = format!(
            "its key `{}` may do everything ({permissions}), which a rotation refuses to repeat",
            key.id
        );
        let fix = "restrict the key in the dashboard, or write `allow_unrestricted = true`";
        return Finding::broken(check, about, what, fix);
    }
    let ceiling = credential.first.as_ref().map(|first| &first.permissions);
    if let Some(beyond) = ceiling.and_then(|ceiling| permissions.beyond(ceiling)) {
        let what = format!("its key `{}` may do more than the policy's `permissions`: {beyond}", key.id);
        let fix = "restrict the key in the dashboard, or extend `permissions`";
        return Finding::broken(check, about, what, fix);
    }
    let others = account.keys.iter().filter(|other| other.id != key.id && other.is_alive(now)).count();
    if others > OTHERS_MAX {
        let what = format!("its service account has {others} other enabled keys beside `{}`", key.id);
        let fix = "delete unused keys in the dashboard; rekeyd never changes keys that it did not create";
        return Finding::doubtful(check, about, what, fix);
    }
    let how = if on_record { "is its key" } else { "will be adopted" };
    let until = key.expires_at.map_or_else(String::new, |at| format!(", expires at {at}"));
    Finding::fine(check, about, format!("`{}` {how}: {permissions}{until}", key.id))
}

/// Whether gates that wait for the provider's evidence can be satisfied.
fn evidence(about: &str, credential: &Credential, key: &Key, readings: &[Reading]) -> Option<Finding> {
    if !credential.terms.gates.iter().any(Gate::needs_usage) {
        return None;
    }
    let check = Check::Evidence;
    let answered = readings.iter().any(|reading| reading.uses.is_ok());
    Some(if !answered {
        let what = "waits for the provider's evidence of use, which cannot be read: see `analytics`";
        let fix = "give the admin key `workspace_analytics_full_read`, or write `when_unknown = \"time\"`";
        Finding::doubtful(check, about, what, fix)
    } else if key.usage_hash.is_none() {
        let what =
            format!("the workspace does not show the hash under which it counts the use of `{}`", key.id);
        let fix = "wait for acknowledgements or probes in place of `idle`: see docs/evidence.md";
        Finding::doubtful(check, about, what, fix)
    } else {
        let what = "evidence of use can be read; that it shows this key is proven by its first rotation";
        Finding::fine(check, about, what)
    })
}
