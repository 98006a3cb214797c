//! The journal port in memory. A clone shares the contents: what the successor of a crashed engine opens.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::ack::Ack;
use crate::domain::audit::changes;
use crate::domain::audit::{Act, Actor, ChainedAct, Head};
use crate::domain::gate::Observations;
use crate::domain::hold::{Hold, HoldKind, Scope};
use crate::domain::ids::{CredentialName, RotationId, WorkspaceName};
use crate::domain::record::Record;
use crate::ports::journal::{
    Acknowledgements, AcksByCredential, AuditLog, HoldRegister, Records, RotationLog, WorkspaceActivity,
};
use crate::ports::journal::{CredentialState, CredentialStates, Entry, Error, RotationHistory};

use contents::Contents;

mod contents;

/// Rotations of each credential that are never forgotten.
const REMEMBERED: usize = 4;

/// Hears of every entry that is appended.
type Watcher = Arc<dyn Fn(&Entry) + Send + Sync>;

#[derive(Clone, Default)]
pub struct MemoryJournal {
    contents: Arc<Mutex<Contents>>,
    watcher: Option<Watcher>,
}

impl MemoryJournal {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One whose every entry `watcher` hears of, while it is appended.
    #[must_use]
    pub fn watched(watcher: Watcher) -> Self {
        Self { contents: Arc::default(), watcher: Some(watcher) }
    }

    /// A credential as it is already: its record at whatever revision, and its entries, in their order.
    pub fn put(&self, record: &Record, entries: Vec<Entry>) {
        let mut contents = self.contents();
        for entry in entries {
            contents.push(entry);
        }
        contents.put(record);
    }

    /// Lets go of what is long past, for a play of many rotations: those that ended before `before`, but for the newest
    /// few of each credential, by which its keys are still known.
    pub fn forget(&self, before: Timestamp) {
        let mut contents = self.contents();
        let Contents { rotations, records, audit, mints, .. } = &mut *contents;
        let mut newest: BTreeMap<CredentialName, usize> = BTreeMap::new();
        let mut past = Vec::new();
        for (id, entries) in rotations.iter().rev() {
            let (Some(first), Some(last)) = (entries.first(), entries.last()) else { continue };
            let count = newest.entry(first.credential.clone()).or_default();
            *count += 1;
            let is_open = records.get(&first.credential).is_some_and(|record| record.open == Some(*id));
            if *count > REMEMBERED && last.at < before && !is_open {
                past.push(*id);
            }
        }
        for id in past {
            rotations.remove(&id);
        }
        mints.retain(|(_, at, ..)| *at >= before);
        let kept = audit.split_off(audit.len().saturating_sub(1));
        *audit = kept;
    }

    /// Reads every record, without a copy of any.
    pub fn with_records<T>(&self, read: impl FnOnce(&BTreeMap<CredentialName, Record>) -> T) -> T {
        read(&self.contents().records)
    }

    /// How many writes succeeded so far.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.contents().writes
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Each write changes the contents only after its last check: they are whole even if a holder panicked.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RotationLog for MemoryJournal {
    async fn append(&self, entry: &Entry, record: Option<&Record>) -> Result<(), Error> {
        let mut contents = self.contents();
        contents.check_entry(entry)?;
        if let Some(record) = record {
            contents.check_record(record, Some(entry))?;
            contents.put(record);
        }
        contents.push(entry.clone());
        contents.seal(entry.act());
        contents.writes += 1;
        if let Some(watcher) = &self.watcher {
            watcher(entry);
        }
        Ok(())
    }

    async fn entries(&self, rotation: RotationId) -> Result<Vec<Entry>, Error> {
        Ok(self.contents().rotations.get(&rotation).cloned().unwrap_or_default())
    }

    async fn history(
        &self,
        credential: &CredentialName,
        limit: usize,
    ) -> Result<Vec<RotationHistory>, Error> {
        let contents = self.contents();
        let newest_first = contents.rotations.iter().rev();
        let own = newest_first
            .filter(|(_, entries)| entries.first().is_some_and(|first| first.credential == *credential));
        Ok(own
            .take(limit)
            .map(|(rotation, entries)| RotationHistory { rotation: *rotation, entries: entries.clone() })
            .collect())
    }

    async fn rotations(
        &self,
        of: Option<&CredentialName>,
        before: Option<RotationId>,
        limit: usize,
    ) -> Result<Vec<(RotationId, CredentialName)>, Error> {
        let contents = self.contents();
        let first = |entries: &Vec<Entry>| entries.first().map(|entry| entry.credential.clone());
        let all = contents.rotations.iter().rev().filter_map(|(id, entries)| Some((*id, first(entries)?)));
        let asked = all
            .filter(|(id, _)| before.is_none_or(|before| *id < before))
            .filter(|(_, credential)| of.is_none_or(|of| of == credential));
        Ok(asked.take(limit).collect())
    }

    async fn owner_of(&self, rotation: RotationId) -> Result<Option<CredentialName>, Error> {
        let contents = self.contents();
        let first = contents.rotations.get(&rotation).and_then(|entries| entries.first());
        Ok(first.map(|entry| entry.credential.clone()))
    }
}

#[async_trait]
impl Records for MemoryJournal {
    async fn load(&self) -> Result<CredentialStates, Error> {
        let contents = self.contents();
        let records = contents.records.values();
        Ok(records.map(|record| (record.credential.clone(), contents.known(record))).collect())
    }

    async fn load_one(&self, credential: &CredentialName) -> Result<Option<CredentialState>, Error> {
        let contents = self.contents();
        contents.records.get(credential).map(|record| contents.known(record)).transpose()
    }

    async fn revision(&self, credential: &CredentialName) -> Result<Option<u64>, Error> {
        Ok(self.contents().records.get(credential).map(|record| record.revision))
    }

    async fn probe(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn save(&self, record: &Record, acts: &[Act]) -> Result<(), Error> {
        let mut contents = self.contents();
        contents.check_record(record, None)?;
        contents.put(record);
        for act in acts {
            contents.seal(act.clone());
        }
        contents.writes += 1;
        Ok(())
    }
}

#[async_trait]
impl WorkspaceActivity for MemoryJournal {
    async fn mints_since(
        &self,
        workspace: &WorkspaceName,
        since: Timestamp,
    ) -> Result<Vec<Timestamp>, Error> {
        let contents = self.contents();
        let first = (workspace.clone(), since, RotationId::from_uuid(uuid::Uuid::nil()), 0);
        let mints = contents.mints.range(first..).take_while(|(of, ..)| of == workspace);
        let mints = mints.map(|(_, at, ..)| *at).collect();
        Ok(mints)
    }

    async fn events_since(
        &self,
        workspace: &WorkspaceName,
        names: &[&'static str],
        since: Timestamp,
    ) -> Result<Vec<Entry>, Error> {
        let contents = self.contents();
        let wanted = |entry: &&Entry| {
            names.contains(&entry.event.name()) && entry.workspace == *workspace && entry.at >= since
        };
        let mut found: Vec<Entry> = contents.entries_since(since).filter(wanted).cloned().collect();
        found.sort_by_key(|entry| entry.at);
        Ok(found)
    }
}

#[async_trait]
impl Acknowledgements for MemoryJournal {
    async fn acknowledge(&self, credential: &CredentialName, ack: &Ack) -> Result<(), Error> {
        let mut contents = self.contents();
        let kept = (credential.clone(), ack.consumer.clone());
        let newest = contents.acks.get(&kept);
        let says_something_else = newest.is_none_or(|newest| !newest.says_the_same(ack));
        if newest.is_none_or(|newest| ack.supersedes(newest)) {
            contents.acks.insert(kept, ack.clone());
            if says_something_else {
                contents.seal(changes::acknowledged(credential, ack));
            }
        }
        contents.writes += 1;
        Ok(())
    }

    async fn acks(&self, credential: &CredentialName) -> Result<Vec<Ack>, Error> {
        let contents = self.contents();
        let own = contents.acks.iter().filter(|((owner, _), _)| owner == credential);
        Ok(own.map(|(_, ack)| ack.clone()).collect())
    }

    async fn all_acks(&self) -> Result<AcksByCredential, Error> {
        let mut all = AcksByCredential::new();
        for ((owner, _), ack) in &self.contents().acks {
            if let Ok(acks) = all.entry(owner.clone()).or_insert_with(|| Ok(Vec::new())) {
                acks.push(ack.clone());
            }
        }
        Ok(all)
    }

    async fn observe(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
        observed: &Observations,
        _at: Timestamp,
    ) -> Result<(), Error> {
        let mut contents = self.contents();
        contents.observed.insert(credential.clone(), (rotation, observed.clone()));
        contents.writes += 1;
        Ok(())
    }

    async fn observed(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
    ) -> Result<Option<Observations>, Error> {
        let contents = self.contents();
        let kept = contents.observed.get(credential).filter(|(of, _)| *of == rotation);
        Ok(kept.map(|(_, observed)| observed.clone()))
    }
}

#[async_trait]
impl HoldRegister for MemoryJournal {
    async fn hold(&self, hold: &Hold) -> Result<(), Error> {
        let mut contents = self.contents();
        let before = contents.holds.find(&hold.scope, hold.what).cloned();
        contents.holds.put(hold.clone());
        if contents.holds.find(&hold.scope, hold.what) != before.as_ref() {
            contents.seal(changes::held(hold));
        }
        contents.writes += 1;
        Ok(())
    }

    async fn lift(&self, scope: &Scope, what: HoldKind, actor: &Actor, at: Timestamp) -> Result<(), Error> {
        let mut contents = self.contents();
        if contents.holds.lift(scope, what) {
            contents.seal(changes::lifted(scope, what, actor.clone(), at));
        }
        contents.lifts.insert((scope.clone(), what), at);
        contents.writes += 1;
        Ok(())
    }

    async fn lifted(&self, scope: &Scope, what: HoldKind) -> Result<Option<Timestamp>, Error> {
        Ok(self.contents().lifts.get(&(scope.clone(), what)).copied())
    }

    async fn holds(&self) -> Result<Vec<Hold>, Error> {
        Ok(self.contents().holds.all().to_vec())
    }
}

#[async_trait]
impl AuditLog for MemoryJournal {
    async fn record(&self, act: &Act) -> Result<(), Error> {
        let mut contents = self.contents();
        contents.seal(act.clone());
        contents.writes += 1;
        Ok(())
    }

    async fn audit_head(&self) -> Result<Head, Error> {
        Ok(self.contents().head())
    }

    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<ChainedAct>, Error> {
        let contents = self.contents();
        let later = contents.audit.iter().filter(|sealed| sealed.sequence > after);
        Ok(later.take(limit).cloned().collect())
    }
}
