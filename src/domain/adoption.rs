//! Adoption: which existing key becomes a credential's key when none is on record.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::domain::ids::{KeyId, ServiceAccountId};
use crate::domain::key::{Account, Inventory, Key};
use crate::domain::policy::{Credential, Policy};
use crate::domain::record::{Current, Obstacle, ObstacleKind};
use crate::domain::sanitize::quoted;

const KEYS_NAMED_MAX: usize = 10;

/// The service account that the policy names, by id or by exact name.
///
/// # Errors
/// None or several match: the text lists the candidates.
pub fn find_account<'a>(
    credential: &Credential,
    inventory: &'a Inventory,
    now: Timestamp,
) -> Result<&'a Account, Obstacle> {
    let wanted = &credential.service_account;
    if let Some(account) = inventory.accounts.iter().find(|account| account.id.as_str() == wanted) {
        return Ok(account);
    }
    let named: Vec<&Account> = inventory.accounts.iter().filter(|account| account.name == *wanted).collect();
    match named.as_slice() {
        [account] => Ok(account),
        [] => Err(obstacle(
            ObstacleKind::NoSuchAccount,
            format!(
                "the workspace has no service account `{wanted}`; it has {}",
                list(inventory.accounts.iter().map(|account| quoted(&account.name)))
            ),
            now,
        )),
        several => Err(obstacle(
            ObstacleKind::NoSuchAccount,
            format!(
                "{} service accounts are named `{wanted}`; write the id of one of them as `service_account`: {}",
                several.len(),
                list(several.iter().map(|account| format!("`{}`", account.id)))
            ),
            now,
        )),
    }
}

/// What the journal and the destinations tell of keys with a rotation's mark.
#[derive(Debug, Default)]
pub struct Marked {
    /// Keys that rotations of ours made and are about to delete.
    pub leftovers: BTreeSet<KeyId>,
    /// Keys that a rotation of another journal made, and that no destination of ours serves.
    pub foreign: BTreeSet<KeyId>,
    /// Keys that a rotation of another journal made, and that a destination of ours serves.
    pub served: BTreeSet<KeyId>,
}

/// The key to begin with: the one that the policy names, or the only enabled one; `None` if a first key is to be made. A key
/// of another journal is another rekeyd's, unless this journal was lost: then an operator says so by `adopt`, or by
/// requesting a rotation where the key on record is gone (`asked`), and a destination serves it.
///
/// # Errors
/// An operator has to choose: the text lists the keys.
pub fn choose_key(
    credential: &Credential,
    account: &Account,
    marked: &Marked,
    asked: bool,
    now: Timestamp,
) -> Result<Option<Current>, Obstacle> {
    let keys: Vec<&Key> = account.keys.iter().filter(|key| !marked.leftovers.contains(&key.id)).collect();
    if let Some(wanted) = &credential.adopt {
        let found = keys.iter().find(|key| key.id == *wanted);
        return match found {
            Some(key) if marked.foreign.contains(&key.id) => Err(of_another(key, false, now)),
            Some(key) if key.is_alive(now) => Ok(Some(adopted(key, now))),
            Some(_) => {
                Err(unclear(&format!("the key `{wanted}` to adopt is disabled or expired"), &keys, now))
            }
            None => Err(unclear(&format!("the key `{wanted}` to adopt is not there"), &keys, now)),
        };
    }
    let alive: Vec<&&Key> = keys.iter().filter(|key| key.is_alive(now)).collect();
    let is_foreign =
        |key: &Key| marked.foreign.contains(&key.id) || (marked.served.contains(&key.id) && !asked);
    if let Some(key) = alive.iter().find(|key| is_foreign(key)) {
        return Err(of_another(key, marked.served.contains(&key.id), now));
    }
    match (alive.as_slice(), keys.is_empty(), credential.first.is_some()) {
        ([key], _, _) => Ok(Some(adopted(key, now))),
        ([], true, true) => Ok(None),
        ([], true, false) => Err(obstacle(
            ObstacleKind::NoPermissions,
            format!(
                "the service account has no key: write into `[credentials.{}]` what its first one may do, such as `permissions = [\"text_to_speech\"]`, or make a key in the dashboard",
                credential.name
            ),
            now,
        )),
        ([], false, _) => Err(unclear("every key of the service account is disabled or expired", &keys, now)),
        (several, _, _) => {
            Err(unclear(&format!("the service account has {} enabled keys", several.len()), &keys, now))
        }
    }
}

/// Whether no other credential could adopt the same key: the policy may name one account by its id here and
/// by its name there, which only a listing tells.
///
/// # Errors
/// The policy does not say which credential has which key.
pub fn check_sharers(
    credential: &Credential,
    account: &Account,
    policy: &Policy,
    now: Timestamp,
) -> Result<(), Obstacle> {
    let shares = |other: &&Credential| {
        let same_name = other.workspace == credential.workspace && other.service_account == account.name;
        let apart = credential.adopt.is_some() && other.adopt.is_some() && credential.adopt != other.adopt;
        other.name != credential.name && (same_name || other.service_account == account.id.as_str()) && !apart
    };
    let Some(other) = policy.credentials.values().find(shares) else { return Ok(()) };
    let text = format!(
        "`{}` has the same service account `{}`, and it is not said which key is whose; give each a service account of its own, or an `adopt` of its own to both",
        other.name, account.id
    );
    Err(obstacle(ObstacleKind::AdoptionUnclear, text, now))
}

/// Whether the recorded account is still the one that the policy names.
///
/// # Errors
/// It is not: rotating would move the credential to another service account.
pub fn check_account(known: &ServiceAccountId, meant: &Account, now: Timestamp) -> Result<(), Obstacle> {
    if *known == meant.id {
        return Ok(());
    }
    let text = format!(
        "the policy now means the service account `{}`, but the credential's key belongs to `{known}`; give the new account a credential of its own name",
        meant.id
    );
    Err(obstacle(ObstacleKind::NoSuchAccount, text, now))
}

fn adopted(key: &Key, now: Timestamp) -> Current {
    Current {
        key: key.id.clone(),
        fingerprint: None,
        since: key.created_at.unwrap_or(now).min(now),
        expires_at: key.expires_at,
        usage_hash: key.usage_hash.clone(),
        attributes: Some(key.attributes.clone()),
    }
}

/// Another rekeyd made the key, and may be rotating it.
fn of_another(key: &Key, is_served: bool, now: Timestamp) -> Obstacle {
    let lost = if is_served {
        format!("if there is no other and its journal was lost, write `adopt = \"{}\"`", key.id)
    } else {
        "if there is no other and its journal was lost, restore the journal, or publish a new key from the dashboard, name it as `adopt` and delete this one".to_owned()
    };
    let text = format!(
        "the key `{}` was made by a rotation that is not in this journal: another rekeyd rotates this service account, and only one may; stop the other, or give this credential an account of its own; {lost}",
        key.id
    );
    obstacle(ObstacleKind::AdoptionUnclear, text, now)
}

fn unclear(problem: &str, keys: &[&Key], now: Timestamp) -> Obstacle {
    let each = keys.iter().map(|key| {
        let state = if key.is_alive(now) { "enabled" } else { "disabled or expired" };
        let created = key.created_at.map_or_else(|| "unknown".to_owned(), |at| at.to_string());
        format!("`{}` ({state}, created {created})", key.id)
    });
    let text = format!("{problem}; write the id of one key as `adopt`: {}", list(each));
    obstacle(ObstacleKind::AdoptionUnclear, text, now)
}

fn obstacle(kind: ObstacleKind, detail: String, since: Timestamp) -> Obstacle {
    Obstacle { kind, detail, since }
}

fn list(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    let more = items.len().saturating_sub(KEYS_NAMED_MAX);
    items.truncate(KEYS_NAMED_MAX);
    match (items.is_empty(), more) {
        (true, _) => "none".to_owned(),
        (false, 0) => items.join(", "),
        (false, more) => format!("{} and {more} more", items.join(", ")),
    }
}
