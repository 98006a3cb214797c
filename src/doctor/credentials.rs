//! Whether a credential of the policy can be rotated, as far as the workspace's listing shows. Pure.

use jiff::Timestamp;

use crate::config::known_permissions::KNOWN_PERMISSIONS;
use crate::domain::account_creation::named;
use crate::domain::adoption::{Marked, check_account, check_sharers, choose_key, find_account};
use crate::domain::examination::{Check, CheckResult};
use crate::domain::gate::Gate;
use crate::domain::gate::confirm::ConfirmWhen;
use crate::domain::key::{Account, Inventory, Key, Permissions};
use crate::domain::last_use::LastUse;
use crate::domain::plan::AfterDeadline;
use crate::domain::policy::{Credential, Mode, Policy};
use crate::domain::record::{Obstacle, ObstacleKind, Record};
use crate::domain::sanitize::quoted;
use crate::domain::usage::Reading;

/// How many other enabled keys an account may have without a warning.
const OTHERS_MAX: usize = 2;

/// The same checks as the daemon makes before a rotation.
pub(super) fn judge(
    credential: &Credential,
    policy: &Policy,
    inventory: &Inventory,
    record: Option<&Record>,
    readings: &[Reading],
    now: Timestamp,
) -> Vec<CheckResult> {
    let about = format!("credential `{}`", credential.name);
    let account = match find_account(credential, inventory, now) {
        Ok(account) => account,
        Err(obstacle) => {
            let missing = missing_account(&about, credential, inventory, record);
            return vec![missing.unwrap_or_else(|| from_obstacle(&about, &obstacle))];
        }
    };
    let shared = check_sharers(credential, account, policy, now);
    let moved = record.and_then(|record| record.account.as_ref());
    let moved = moved.map_or(Ok(()), |known| check_account(known, account, now));
    if let Err(obstacle) = shared.and(moved) {
        return vec![from_obstacle(&about, &obstacle)];
    }
    let groups = account.groups.as_ref().map_or_else(String::new, |it| format!("; sharing groups: {it}"));
    let keys = account.keys.len();
    let what = format!("service account {} ({}); keys: {keys}{groups}", quoted(&account.name), account.id);
    let mut findings = vec![CheckResult::ok(Check::ServiceAccount, &about, what)];
    findings.extend(other_groups(&about, credential, account));
    findings.extend(unknown_permissions(&about, credential, inventory));
    let on_record = record.and_then(|record| record.current.as_ref());
    let key = match on_record {
        Some(current) => match account.keys.iter().find(|key| key.id == current.key) {
            Some(key) => key,
            None => {
                findings.push(vanished(&about, credential, current.key.as_str()));
                return findings;
            }
        },
        None => match choose_key(credential, account, &marked(account, record), false, now) {
            Ok(Some(adopted)) => match account.keys.iter().find(|key| key.id == adopted.key) {
                Some(key) => key,
                None => return findings,
            },
            Ok(None) => {
                findings.push(CheckResult::ok(
                    Check::Key,
                    &about,
                    "no key yet; rekeyd creates the first one",
                ));
                return findings;
            }
            Err(obstacle) => {
                findings.push(from_obstacle(&about, &obstacle));
                return findings;
            }
        },
    };
    findings.push(of_key(&about, credential, account, key, on_record.is_some(), now));
    findings.extend(evidence(&about, credential, key, readings));
    if record.is_none_or(|record| record.is_unrotated(credential)) {
        findings.push(in_use(&about, credential, &LastUse::learn(None, key, readings, now)));
    }
    findings
}

/// Whether a key that rekeyd has not rotated yet is in use, and what keeps it while it is.
fn in_use(about: &str, credential: &Credential, used: &LastUse) -> CheckResult {
    let told = used.told(|at| format!("{at:.0}"));
    if used.last.is_none() {
        return CheckResult::ok(Check::Evidence, about, format!("use of key `{}`: {told}", used.key));
    }
    let terms = &credential.terms;
    let time_alone = terms.gates.is_empty() && terms.confirm == ConfirmWhen::Never;
    let revokes = !terms.gates.is_empty() && terms.then == AfterDeadline::Revoke;
    let what = format!("key `{}` is in use: last used {told}", used.key);
    let fix =
        "set a gate such as `wait_for.idle`, or leave out `wait_for.confirm = false` and `then = \"revoke\"`";
    if time_alone || revokes {
        let what = format!("{what}; by this policy, time alone disables it, whoever still uses it");
        return CheckResult::warning(Check::Evidence, about, what, fix);
    }
    CheckResult::ok(Check::Evidence, about, what)
}

/// An account that is not there yet, and that the daemon creates; `None` if it does not.
fn missing_account(
    about: &str,
    credential: &Credential,
    inventory: &Inventory,
    record: Option<&Record>,
) -> Option<CheckResult> {
    let groups = credential.create_account.as_ref()?;
    let had_one = record.is_some_and(|record| record.account.is_some() || record.current.is_some());
    if had_one || named(inventory, &credential.service_account).next().is_some() {
        return None;
    }
    let (check, wanted) = (Check::ServiceAccount, quoted(&credential.service_account));
    if credential.mode == Mode::Observe {
        let what =
            format!("service account {wanted} does not exist, and an observed credential creates none");
        let fix = "set `mode = \"rotate\"`, or create the account in the dashboard";
        return Some(CheckResult::warning(check, about, what, fix));
    }
    if inventory.accounts.first().is_some_and(|account| account.groups.is_none()) {
        let what = format!(
            "service account {wanted} does not exist, and this API version lists no sharing groups: it may not create accounts"
        );
        return Some(CheckResult::warning(check, about, what, "create the account in the dashboard"));
    }
    let what =
        format!("service account {wanted} does not exist yet; rekeyd creates it, sharing groups: {groups}");
    Some(CheckResult::ok(check, about, what))
}

/// An account that exists keeps its groups, whatever the policy would create it with.
fn other_groups(about: &str, credential: &Credential, account: &Account) -> Option<CheckResult> {
    let changes = credential.create_account.as_ref()?.changes(account.groups.as_ref()?)?;
    let what = format!("the sharing groups of the existing account differ from `create_account`: {changes}");
    let fix = "change them in the dashboard, or correct `create_account`; rekeyd changes no existing account";
    Some(CheckResult::warning(Check::ServiceAccount, about, what, fix))
}

/// Keys with a rotation's mark: of this journal if it has the credential, else of another.
fn marked(account: &Account, record: Option<&Record>) -> Marked {
    let keys = account.keys.iter().filter(|key| key.nonce().is_some()).map(|key| key.id.clone()).collect();
    match record {
        Some(_) => Marked { leftovers: keys, ..Marked::default() },
        None => Marked { served: keys, ..Marked::default() },
    }
}

fn from_obstacle(about: &str, obstacle: &Obstacle) -> CheckResult {
    let (check, fix) = match obstacle.kind {
        ObstacleKind::NoSuchAccount => {
            (Check::ServiceAccount, "set `service_account` to the exact name or ID of an existing account")
        }
        ObstacleKind::AccountNotCreated => {
            (Check::ServiceAccount, "see `account_not_created` in the runbook")
        }
        ObstacleKind::AdoptionUnclear => {
            (Check::Key, "set `adopt` to the ID of the key that consumers use now")
        }
        ObstacleKind::NoPermissions => {
            (Check::Key, "set `permissions` for a first key, or create a key in the dashboard")
        }
        ObstacleKind::WorkspaceUnusable => (Check::AdminKey, "see the workspace's findings"),
        ObstacleKind::SharedDestination => {
            (Check::Destinations, "publish each credential to a secret of its own")
        }
    };
    CheckResult::error(check, about, obstacle.detail.clone(), fix)
}

/// A permission that neither the provider documents nor any key of the workspace has: creating a key with it will fail.
fn unknown_permissions(about: &str, credential: &Credential, inventory: &Inventory) -> Option<CheckResult> {
    let Permissions::Only(wanted) = &credential.first.as_ref()?.permissions else { return None };
    let keys = || inventory.accounts.iter().flat_map(|account| &account.keys);
    let is_listed = |name: &String| {
        keys().any(
            |key| matches!(&key.attributes.permissions, Permissions::Only(names) if names.contains(name)),
        )
    };
    let is_known = |name: &&String| KNOWN_PERMISSIONS.contains(&name.as_str()) || is_listed(name);
    let unknown: Vec<String> =
        wanted.iter().filter(|name| !is_known(name)).map(|name| quoted(name)).collect();
    (!unknown.is_empty()).then(|| {
        let what = format!(
            "no key of the workspace has {}, and ElevenLabs documents no permission with this name",
            unknown.join(", ")
        );
        CheckResult::warning(Check::Key, about, what, "correct the name in `permissions`")
    })
}

fn vanished(about: &str, credential: &Credential, key: &str) -> CheckResult {
    let what = format!("key `{key}` is recorded in the journal but missing in the workspace");
    let fix = format!("replace it: `rekeyd rotate {} --emergency`", credential.name);
    CheckResult::error(Check::Key, about, what, fix)
}

fn of_key(
    about: &str,
    credential: &Credential,
    account: &Account,
    key: &Key,
    on_record: bool,
    now: Timestamp,
) -> CheckResult {
    let check = Check::Key;
    if !key.is_alive(now) {
        let what = format!("key `{}` is disabled or expired; consumers are rejected", key.id);
        let fix = format!("enable it in the dashboard, or `rekeyd rotate {} --emergency`", credential.name);
        return CheckResult::error(check, about, what, fix);
    }
    let permissions = &key.attributes.permissions;
    if permissions.is_unrestricted() && !credential.allow_unrestricted {
        let what = format!(
            "key `{}` is unrestricted ({permissions}), and rotations refuse to recreate that",
            key.id
        );
        let fix = "restrict the key in the dashboard, or set `allow_unrestricted = true`";
        return CheckResult::error(check, about, what, fix);
    }
    let ceiling = credential.first.as_ref().map(|first| &first.permissions);
    if let Some(beyond) = ceiling.and_then(|ceiling| permissions.beyond(ceiling)) {
        let what = format!("key `{}` has more permissions than the policy's `permissions`: {beyond}", key.id);
        let fix = "restrict the key in the dashboard, or extend `permissions`";
        return CheckResult::error(check, about, what, fix);
    }
    let others = account.keys.iter().filter(|other| other.id != key.id && other.is_alive(now)).count();
    if others > OTHERS_MAX {
        let what = format!("the service account has {others} enabled keys beside `{}`", key.id);
        let fix = "delete unused keys in the dashboard; rekeyd never touches keys that it did not create";
        return CheckResult::warning(check, about, what, fix);
    }
    let how = if on_record { "is the credential's key" } else { "will be adopted" };
    let until = key.expires_at.map_or_else(String::new, |at| format!(", expires at {at:.0}"));
    let confirm = if !on_record && credential.is_confirmed_first() {
        format!("; no gate shows who uses it: it is kept until `rekeyd confirm {}`", credential.name)
    } else {
        String::new()
    };
    CheckResult::ok(check, about, format!("`{}` {how}: {permissions}{until}{confirm}", key.id))
}

/// Whether gates that need the provider's evidence can be satisfied.
fn evidence(about: &str, credential: &Credential, key: &Key, readings: &[Reading]) -> Option<CheckResult> {
    if !credential.terms.gates.iter().any(Gate::needs_usage) {
        return None;
    }
    let check = Check::Evidence;
    let answered = readings.iter().any(|reading| reading.uses.is_ok());
    Some(if !answered {
        let what = "needs evidence of use, which cannot be read: see `analytics`";
        let fix = "grant the admin key `workspace_analytics_full_read`, or set `when_unknown = \"time\"`";
        CheckResult::warning(check, about, what, fix)
    } else if key.usage_hash.is_none() {
        let what = format!("the workspace lists no usage hash for key `{}`", key.id);
        let fix = "use acknowledgements or probes instead of `idle`; see docs/evidence.md";
        CheckResult::warning(check, about, what, fix)
    } else {
        let what = "evidence of use is readable; the first rotation confirms that it covers this key";
        CheckResult::ok(check, about, what)
    })
}
