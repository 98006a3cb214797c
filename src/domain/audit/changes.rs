//! Audit records of everything but rotation events: commands, findings, holds, acknowledgements, and the daemon itself.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::domain::account_creation::{AccountCreation, CreationState, NAME};
use crate::domain::ack::Ack;
use crate::domain::audit::{Act, Actor, object};
use crate::domain::finding::Finding;
use crate::domain::hold::{Hold, HoldKind, Scope};
use crate::domain::ids::{CredentialName, KeyId, ServiceAccountId};
use crate::domain::key::Key;
use crate::domain::left::LeftDestination;
use crate::domain::record::{Obstacle, Record};
use crate::domain::sanitize::one_line;
use crate::domain::sharing::SharingGroups;

pub const ROTATION_ASKED: &str = "rotation_asked";
pub const EMERGENCY_ASKED: &str = "emergency_asked";
pub const ACCEPTED: &str = "accepted";
pub const FOUND: &str = "found";
pub const NO_LONGER_FOUND: &str = "no_longer_found";
pub const OBSTRUCTED: &str = "obstructed";
pub const ADOPTED: &str = "adopted";
pub const ACCOUNT_CREATION_INTENDED: &str = "account_creation_intended";
pub const ACCOUNT_CREATED: &str = "account_created";
pub const ACCOUNT_CREATION_REFUSED: &str = "account_creation_refused";
pub const ACCOUNT_CREATION_IN_DOUBT: &str = "account_creation_in_doubt";
pub const HELD: &str = "held";
pub const LIFTED: &str = "lifted";
pub const ACKNOWLEDGED: &str = "acknowledged";
pub const REPAIRED: &str = "repaired";
pub const HURRIED: &str = "hurried";
pub const RENAMED: &str = "renamed";
pub const DESTINATION_LEFT: &str = "destination_left";
pub const DESTINATION_RETURNED: &str = "destination_returned";
pub const DESTINATION_FORGOTTEN: &str = "destination_forgotten";
pub const ORPHAN_DELETION_INTENDED: &str = "orphan_deletion_intended";
pub const ORPHAN_DELETED: &str = "orphan_deleted";
pub const CHANGED_BY_OTHERS: &str = "changed_by_others";
pub const POLICY_LOADED: &str = "policy_loaded";
pub const POLICY_REFUSED: &str = "policy_refused";
pub const STARTED: &str = "started";
pub const STOPPED: &str = "stopped";

/// What records tell of beside events, in the order of docs/audit.md.
pub const ALL: [&str; 27] = [
    ROTATION_ASKED,
    EMERGENCY_ASKED,
    ACCEPTED,
    FOUND,
    NO_LONGER_FOUND,
    OBSTRUCTED,
    ADOPTED,
    ACCOUNT_CREATION_INTENDED,
    ACCOUNT_CREATED,
    ACCOUNT_CREATION_REFUSED,
    ACCOUNT_CREATION_IN_DOUBT,
    HELD,
    LIFTED,
    ACKNOWLEDGED,
    REPAIRED,
    HURRIED,
    RENAMED,
    DESTINATION_LEFT,
    DESTINATION_RETURNED,
    DESTINATION_FORGOTTEN,
    ORPHAN_DELETION_INTENDED,
    ORPHAN_DELETED,
    CHANGED_BY_OTHERS,
    POLICY_LOADED,
    POLICY_REFUSED,
    STARTED,
    STOPPED,
];

/// What a change of a record without an event amounts to. Empty for what only plans, as a due instant does.
#[must_use]
pub fn of_record(before: &Record, after: &Record, actor: &Actor, at: Timestamp) -> Vec<Act> {
    let mut told: Vec<(&str, Value)> = Vec::new();
    if let Some(urgency) =
        after.emergency.as_ref().filter(|urgency| before.emergency.as_ref() != Some(urgency))
    {
        told.push((EMERGENCY_ASKED, json!({ "why": urgency.why })));
    } else if after.asked && !before.asked {
        told.push((ROTATION_ASKED, Value::Null));
    }
    let key = |record: &Record| record.current.as_ref().map(|current| current.key.clone());
    let attributes = |record: &Record| record.current.as_ref().and_then(|current| current.attributes.clone());
    let groups_were_accepted = before.account == after.account
        && before.sharing_groups.is_some()
        && before.sharing_groups != after.sharing_groups;
    if key(before) != key(after) {
        told.push((ADOPTED, json!({ "key": key(after), "before": key(before) })));
    } else if before.accepted != after.accepted
        || (attributes(before).is_some() && attributes(before) != attributes(after))
        || groups_were_accepted
    {
        let groups = after.sharing_groups.as_ref().filter(|_| groups_were_accepted);
        told.push((
            ACCEPTED,
            json!({ "key": key(after), "other_keys": after.accepted, "sharing_groups": groups }),
        ));
    }
    told.extend(creation_of(before, after));
    told.extend(left_of(before, after));
    let missing_in = |record: &Record, it: &Finding| !record.findings.iter().any(|known| known.is_same(it));
    for found in after.findings.iter().filter(|it| missing_in(before, it)) {
        told.push((FOUND, json!({ "kind": found.kind.label(), "key": found.key, "why": found.detail })));
    }
    for gone in before.findings.iter().filter(|it| missing_in(after, it)) {
        told.push((NO_LONGER_FOUND, json!({ "kind": gone.kind.label(), "key": gone.key })));
    }
    let kind = |obstacle: &Obstacle| obstacle.kind;
    if let Some(obstacle) = &after.obstacle
        && before.obstacle.as_ref().map(kind) != Some(obstacle.kind)
    {
        told.push((OBSTRUCTED, json!({ "kind": obstacle.kind.label(), "why": obstacle.detail })));
    }
    let act = |(what, details): (&str, Value)| Act {
        credential: Some(after.credential.clone()),
        rotation: after.open,
        ..Act::new(at, actor.clone(), what, details)
    };
    told.into_iter().map(act).collect()
}

/// Destinations that left the policy, came back, or were said to hold nothing any more.
fn left_of(before: &Record, after: &Record) -> Vec<(&'static str, Value)> {
    let details = |it: &LeftDestination| json!({ "destination": it.destination.to_string(), "fingerprint": it.fingerprint });
    let among = |all: &[LeftDestination], it: &LeftDestination| {
        all.iter().find(|known| known.destination.is_same_place(&it.destination)).cloned()
    };
    let mut told = Vec::new();
    for left in &after.left {
        let known = among(&before.left, left);
        if known.is_none() {
            told.push((DESTINATION_LEFT, details(left)));
        }
        if left.forgotten && known.is_none_or(|known| !known.forgotten) {
            told.push((DESTINATION_FORGOTTEN, details(left)));
        }
    }
    let gone = before.left.iter().filter(|it| !it.forgotten && among(&after.left, it).is_none());
    told.extend(gone.map(|it| (DESTINATION_RETURNED, details(it))));
    told
}

/// What an operator accepted last, gathered from the records of one credential in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accepted {
    pub other_keys: BTreeSet<KeyId>,
    pub sharing_groups: Option<SharingGroups>,
}

impl Accepted {
    pub fn note(&mut self, act: &Act) {
        if act.what != ACCEPTED {
            return;
        }
        let told = |name: &str| act.details.get(name).cloned();
        if let Some(keys) = told("other_keys").and_then(|keys| serde_json::from_value(keys).ok()) {
            self.other_keys = keys;
        }
        if let Some(groups) = told("sharing_groups").and_then(|groups| serde_json::from_value(groups).ok()) {
            self.sharing_groups = Some(groups);
        }
    }
}

/// The next state of an account's creation; that a listing shows the account settles a doubt.
fn creation_of(before: &Record, after: &Record) -> Option<(&'static str, Value)> {
    match (&before.account_creation, &after.account_creation) {
        (known, Some(now))
            if known.as_ref().is_none_or(|known| (known.state, known.at) != (now.state, now.at)) =>
        {
            let id = after.account.as_ref().filter(|_| now.state == CreationState::Created);
            Some((now.state.act(), account_creation(now, id)))
        }
        (Some(known), None) if known.state != CreationState::Created => {
            let id = after.account.as_ref()?;
            Some((ACCOUNT_CREATED, account_creation(known, Some(id))))
        }
        (_, Some(_)) | (Some(_), None) | (None, None) => None,
    }
}

/// What records tell of the creation of a service account.
#[must_use]
pub fn account_creation(creation: &AccountCreation, id: Option<&ServiceAccountId>) -> Value {
    let why = Some(&creation.why).filter(|why| !why.is_empty());
    json!({
        NAME: one_line(&creation.name), "service_account": id, "sharing_groups": creation.groups, "why": why,
    })
}

/// A hold is put in force.
#[must_use]
pub fn held(hold: &Hold) -> Act {
    let details = json!({ "what": hold.what.label(), "why": hold.why });
    within(&hold.scope, Act::new(hold.since, Actor::of_hold(&hold.by), HELD, details))
}

/// A hold is lifted.
#[must_use]
pub fn lifted(scope: &Scope, what: HoldKind, actor: Actor, at: Timestamp) -> Act {
    within(scope, Act::new(at, actor, LIFTED, json!({ "what": what.label() })))
}

fn within(scope: &Scope, act: Act) -> Act {
    let mut act = act;
    act.details.insert("scope".to_owned(), Value::from(scope.to_string()));
    match scope {
        Scope::Fleet => {}
        Scope::Workspace(name) => act.workspace = Some(name.clone()),
        Scope::Credential(name) => act.credential = Some(name.clone()),
    }
    act
}

/// A consumer reports another key or another status than before.
#[must_use]
pub fn acknowledged(credential: &CredentialName, ack: &Ack) -> Act {
    let details = json!({ "fingerprint": ack.fingerprint, "status": ack.health.label() });
    let actor = Actor::Consumer(ack.consumer.clone());
    Act { credential: Some(credential.clone()), ..Act::new(ack.at, actor, ACKNOWLEDGED, details) }
}

/// A key that a rotation made and lost is about to be deleted, or is deleted.
#[must_use]
pub fn orphan(what: &str, key: &Key, credential: &CredentialName, at: Timestamp) -> Act {
    let details = json!({ "key": key.id, "service_account": key.account, "name": one_line(&key.name) });
    let rotation = key.nonce().map(|nonce| nonce.rotation);
    let credential = Some(credential.clone());
    Act { credential, rotation, details: object(details), ..Act::new(at, Actor::Policy, what, Value::Null) }
}
