//! Changes of rekeyd's keys that others made, by the workspace's own audit log: which are certain, and which are recorded.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::domain::audit::compare::{Deed, RECORDED_AFTER, WorkspaceLogEntry, compare};
use crate::domain::audit::{Act, Actor, ChainedAct, changes};
use crate::domain::ids::{CredentialName, KeyId, WorkspaceName};

/// How long a change is reported after it was found: longer than the alert lasts.
const REPORTED: SignedDuration = SignedDuration::from_hours(24);

/// A change of a key of rekeyd that somebody else made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignChange {
    pub found_at: Timestamp,
    pub workspace: WorkspaceName,
    /// The credential whose key it was, if a record tells.
    pub credential: Option<CredentialName>,
    pub key: KeyId,
    pub deed: Deed,
    /// The user of the workspace who did it.
    pub user: Option<String>,
    pub at: Timestamp,
    /// The workspace's own id of the entry.
    pub entry: String,
}

impl ForeignChange {
    #[must_use]
    pub fn act(&self) -> Act {
        let details = json!({
            "key": self.key, "deed": self.deed.label(), "user": self.user, "at": self.at, "entry": self.entry,
        });
        Act {
            credential: self.credential.clone(),
            workspace: Some(self.workspace.clone()),
            ..Act::new(self.found_at, Actor::Policy, changes::CHANGED_BY_OTHERS, details)
        }
    }

    fn recorded(act: &Act) -> Option<Self> {
        if act.what != changes::CHANGED_BY_OTHERS {
            return None;
        }
        let text = |name: &str| act.details.get(name).and_then(Value::as_str);
        Some(Self {
            found_at: act.at,
            workspace: act.workspace.clone()?,
            credential: act.credential.clone(),
            key: act.key()?,
            deed: Deed::ALL.into_iter().find(|deed| Some(deed.label()) == text("deed"))?,
            user: text("user").map(str::to_owned),
            at: text("at")?.parse().ok()?,
            entry: text("entry")?.to_owned(),
        })
    }

    #[must_use]
    pub fn is_reported(&self, now: Timestamp) -> bool {
        now.duration_since(self.found_at) < REPORTED
    }

    fn is_same(&self, key: &KeyId, entry: &WorkspaceLogEntry) -> bool {
        (&self.key, self.deed, self.at, &self.entry) == (key, entry.deed, entry.at, &entry.id)
    }
}

/// Those that the audit log has already.
#[must_use]
pub fn recorded(records: &[ChainedAct]) -> Vec<ForeignChange> {
    records.iter().filter_map(|record| ForeignChange::recorded(&record.act)).collect()
}

/// Changes that rekeyd certainly did not make, and that are not recorded yet. `logged` was read first, then `open`, the
/// credentials with a rotation under way, then `records`, all there are of the workspace: what a rotation under way did may
/// not be recorded yet, and is looked at again later.
#[must_use]
pub fn unrecorded(
    workspace: &WorkspaceName,
    records: &[ChainedAct],
    logged: &[WorkspaceLogEntry],
    since: Timestamp,
    open: &BTreeSet<CredentialName>,
    now: Timestamp,
) -> Vec<ForeignChange> {
    let known = recorded(records);
    let owner = |key: &KeyId| {
        let of_key =
            |record: &&ChainedAct| record.act.key().as_ref() == Some(key) && record.act.credential.is_some();
        records.iter().rev().find(of_key).and_then(|record| record.act.credential.clone())
    };
    let is_being_deleted = |key: &KeyId| {
        let intends =
            |act: &Act| act.what == changes::ORPHAN_DELETION_INTENDED && act.key().as_ref() == Some(key);
        records.iter().any(|record| intends(&record.act))
    };
    let mut found = Vec::new();
    for (key, entry) in compare(records, logged, since).foreign {
        let credential = owner(&key);
        let is_under_way = is_being_deleted(&key) || credential.as_ref().is_none_or(|it| open.contains(it));
        let may_be_ours = is_under_way && now.duration_since(entry.at) < RECORDED_AFTER;
        if may_be_ours || known.iter().any(|known| known.is_same(&key, &entry)) {
            continue;
        }
        found.push(ForeignChange {
            found_at: now,
            workspace: workspace.clone(),
            credential,
            key,
            deed: entry.deed,
            user: entry.user,
            at: entry.at,
            entry: entry.id,
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::Head;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60).unwrap()
    }

    fn name(text: &str) -> CredentialName {
        CredentialName::new(text).unwrap()
    }

    fn workspace() -> WorkspaceName {
        WorkspaceName::new("prod").unwrap()
    }

    fn sealed(acts: Vec<Act>) -> Vec<ChainedAct> {
        let mut head = Head::genesis();
        let seal = |act| {
            let sealed = ChainedAct::after(&head, act);
            head = sealed.head();
            sealed
        };
        acts.into_iter().map(seal).collect()
    }

    fn act(minutes: i64, what: &str, key: &str) -> Act {
        let act = Act::new(at(minutes), Actor::Policy, what, json!({ "key": key }));
        Act { credential: Some(name("tts")), workspace: Some(workspace()), ..act }
    }

    fn deleted(minutes: i64, key: &str) -> WorkspaceLogEntry {
        let texts = [key.to_owned()].into();
        let user = Some("user_1".to_owned());
        WorkspaceLogEntry { id: format!("e{minutes}"), at: at(minutes), deed: Deed::Deleted, user, texts }
    }

    #[test]
    fn what_a_rotation_under_way_may_have_done_is_not_somebody_elses_until_it_can_no_longer_be_ours() {
        let records = sealed(vec![act(100, "minted", "new")]);
        let logged = [deleted(200, "new")];
        let find = |open: &BTreeSet<CredentialName>, now| {
            unrecorded(&workspace(), &records, &logged, at(0), open, at(now)).len()
        };
        let open = BTreeSet::from([name("tts")]);
        assert_eq!((find(&open, 201), find(&open, 379), find(&open, 380)), (0, 0, 1));
        assert_eq!(find(&BTreeSet::from([name("other")]), 201), 1);
        let records = sealed(vec![act(100, "minted", "new"), act(199, "orphan_deletion_intended", "new")]);
        let found = unrecorded(&workspace(), &records, &logged, at(0), &BTreeSet::new(), at(201));
        assert_eq!(found, [], "a sweep may just be deleting it");
    }

    #[test]
    fn a_change_is_found_once_and_told_for_a_day() {
        let (none, logged) = (BTreeSet::new(), [deleted(200, "new"), deleted(210, "new")]);
        let mut acts = vec![act(100, "minted", "new")];
        let find =
            |acts: &[Act]| unrecorded(&workspace(), &sealed(acts.to_vec()), &logged, at(0), &none, at(300));
        let first = find(&acts);
        assert_eq!(first.len(), 2, "each is one by itself");
        assert_eq!(first[0].user.as_deref(), Some("user_1"));
        assert_eq!(first[0].credential, Some(name("tts")));
        acts.push(first[0].act());
        assert_eq!(find(&acts), first[1..]);
        assert_eq!(recorded(&sealed(acts)), first[..1]);
        assert!(first[0].is_reported(at(300 + 24 * 60 - 1)) && !first[0].is_reported(at(300 + 24 * 60)));
    }
}
