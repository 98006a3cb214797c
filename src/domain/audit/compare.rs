//! Compares rekeyd's audit log with the workspace's own, to find changes of keys that others made.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::audit::{Act, ChainedAct};
use crate::domain::ids::KeyId;
use crate::domain::time::later;

/// A change may be recorded so much later than it was made: its answer was lost, and it was asked about again.
pub(super) const RECORDED_AFTER: SignedDuration = SignedDuration::from_hours(3);
/// The clocks may be so far apart.
const CLOCKS: SignedDuration = SignedDuration::from_mins(5);

/// What is done to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    Created,
    /// Disabled, enabled, or given other settings: the workspace's log does not say which.
    Changed,
    Deleted,
}

impl Deed {
    pub const ALL: [Self; 3] = [Self::Created, Self::Changed, Self::Deleted];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Deleted => "deleted",
        }
    }
}

/// What the workspace's log says was done to a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceLogEntry {
    /// The provider's own id of the entry.
    pub id: String,
    pub at: Timestamp,
    pub deed: Deed,
    /// The user of the workspace who did it.
    pub user: Option<String>,
    /// Every text in it: one of them is the key's id.
    pub texts: BTreeSet<String>,
}

/// One of ours that the workspace's log does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnmatchedAct {
    pub sequence: u64,
    pub at: Timestamp,
    pub deed: Deed,
    pub key: KeyId,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Entries of the workspace's log that are ours.
    pub matched: usize,
    /// Entries about keys that are none of ours, or were not yet.
    pub others: usize,
    /// Done to a key of ours, and not by us.
    pub foreign: Vec<(KeyId, WorkspaceLogEntry)>,
    pub unseen: Vec<UnmatchedAct>,
}

/// What an act did to which keys.
fn deeds(act: &Act) -> Vec<(Deed, KeyId)> {
    let own = |deed| act.key().map(|key| (deed, key)).into_iter().collect();
    match act.what.as_str() {
        "minted" => own(Deed::Created),
        "old_key_disabled" | "old_key_enabled" | "expiry_settled" => own(Deed::Changed),
        "old_key_gone" | "new_key_gone" | "discarded" | "orphan_deleted" => own(Deed::Deleted),
        "lost_key_settled" => {
            let keys = act.details.get("deleted_keys").and_then(serde_json::Value::as_array);
            let ids = keys.into_iter().flatten().filter_map(|key| KeyId::new(key.as_str()?).ok());
            ids.flat_map(|key| [(Deed::Created, key.clone()), (Deed::Deleted, key)]).collect()
        }
        _ => Vec::new(),
    }
}

/// Holds `records`, all there are of a workspace, against what its log shows from `since` on.
#[must_use]
pub fn compare(records: &[ChainedAct], logged: &[WorkspaceLogEntry], since: Timestamp) -> Comparison {
    let ours: Vec<UnmatchedAct> = records
        .iter()
        .flat_map(|record| {
            let (sequence, at) = (record.sequence, record.act.at);
            deeds(&record.act).into_iter().map(move |(deed, key)| UnmatchedAct { sequence, at, deed, key })
        })
        .collect();
    // From when on each key is ours: who made one that was adopted is nobody's business.
    let mut known: BTreeMap<KeyId, Timestamp> = BTreeMap::new();
    for record in records {
        let keys = record.act.key().into_iter().chain(deeds(&record.act).into_iter().map(|(_, key)| key));
        for key in keys {
            known.entry(key).or_insert(record.act.at);
        }
    }
    let mut compared = Comparison::default();
    let mut seen = BTreeSet::new();
    for entry in logged {
        let named = known.iter().find(|(key, _)| entry.texts.contains(key.as_str()));
        let Some((key, first)) = named else {
            compared.others += 1;
            continue;
        };
        let same = ours.iter().enumerate().filter(|(_, own)| own.key == *key && is_same(own, entry));
        let same: Vec<usize> = same.map(|(index, _)| index).collect();
        if same.is_empty() && entry.at < *first {
            compared.others += 1;
        } else if same.is_empty() {
            compared.foreign.push((key.clone(), entry.clone()));
        } else {
            compared.matched += 1;
            seen.extend(same);
        }
    }
    let from = later(since, CLOCKS);
    let unseen = ours.into_iter().enumerate().filter(|(index, own)| own.at >= from && !seen.contains(index));
    compared.unseen = unseen.map(|(_, own)| own).collect();
    compared
}

/// A key is created and deleted once; it may be changed often, and each time is looked for by itself.
fn is_same(own: &UnmatchedAct, entry: &WorkspaceLogEntry) -> bool {
    let later = own.at.duration_since(entry.at);
    own.deed == entry.deed && (own.deed != Deed::Changed || (-CLOCKS..=RECORDED_AFTER).contains(&later))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::audit::{Actor, Head};

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(minutes * 60).unwrap()
    }

    fn records(acts: &[(i64, &str, &str)]) -> Vec<ChainedAct> {
        let mut head = Head::genesis();
        let sealed = acts.iter().map(|(minutes, what, key)| {
            let act =
                Act::new(at(*minutes), Actor::Policy, what, json!({ "key": key, "deleted_keys": [key] }));
            let sealed = ChainedAct::after(&head, act);
            head = sealed.head();
            sealed
        });
        sealed.collect()
    }

    fn logged(minutes: i64, deed: Deed, key: &str) -> WorkspaceLogEntry {
        let id = format!("{minutes} {}", deed.label());
        let texts = [key.to_owned(), "x".to_owned()].into();
        WorkspaceLogEntry { id, at: at(minutes), deed, user: None, texts }
    }

    #[test]
    fn what_somebody_else_did_to_our_keys_is_found_and_what_we_did_is_not() {
        let ours = records(&[
            (100, "begun", "old"),
            (101, "minted", "new"),
            (300, "old_key_disabled", "old"),
            (900, "old_key_gone", "old"),
            (950, "lost_key_settled", "lost"),
        ]);
        let theirs = [
            logged(50, Deed::Created, "old"),
            logged(101, Deed::Created, "new"),
            logged(200, Deed::Changed, "new"),
            logged(290, Deed::Changed, "old"),
            logged(299, Deed::Changed, "old"),
            logged(600, Deed::Changed, "old"),
            logged(899, Deed::Deleted, "old"),
            logged(901, Deed::Created, "lost"),
            logged(949, Deed::Deleted, "lost"),
            logged(950, Deed::Created, "of somebody"),
            logged(960, Deed::Deleted, "new"),
        ];
        let compared = compare(&ours, &theirs, at(0));
        let foreign: Vec<String> =
            compared.foreign.iter().map(|(key, it)| format!("{key} {}", it.id)).collect();
        assert_eq!(foreign, ["new 200 changed", "old 600 changed", "new 960 deleted"]);
        assert_eq!((compared.matched, compared.others, compared.unseen), (6, 2, vec![]));
    }

    #[test]
    fn what_we_did_and_the_workspace_does_not_show_is_told_if_it_was_asked_about() {
        let ours = records(&[(100, "minted", "a"), (300, "minted", "b"), (400, "old_key_disabled", "a")]);
        let compared = compare(&ours, &[logged(300, Deed::Created, "b")], at(200));
        let unseen: Vec<(u64, Deed)> = compared.unseen.iter().map(|it| (it.sequence, it.deed)).collect();
        assert_eq!(unseen, [(3, Deed::Changed)]);
    }
}
