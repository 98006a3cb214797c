//! What a memory journal holds, and the checks that every write passes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::ack::Ack;
use crate::domain::audit::{Act, ChainedAct, Head};
use crate::domain::event::Event;
use crate::domain::gate::Observations;
use crate::domain::hold::{HoldKind, Holds, Scope};
use crate::domain::ids::{ConsumerName, CredentialName, RotationId, WorkspaceName};
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;
use crate::ports::journal::{CredentialState, Entry, Error};

#[derive(Debug, Default)]
pub(super) struct Contents {
    pub(super) rotations: BTreeMap<RotationId, Vec<Entry>>,
    pub(super) records: BTreeMap<CredentialName, Record>,
    pub(super) acks: BTreeMap<(CredentialName, ConsumerName), Ack>,
    pub(super) observed: BTreeMap<CredentialName, (RotationId, Observations)>,
    pub(super) holds: Holds,
    pub(super) lifts: BTreeMap<(Scope, HoldKind), Timestamp>,
    pub(super) audit: Vec<ChainedAct>,
    pub(super) writes: u64,
    /// When keys were created, or may have been, by workspace.
    pub(super) mints: BTreeSet<(WorkspaceName, Timestamp, RotationId, u64)>,
}

impl Contents {
    pub(super) fn known(&self, record: &Record) -> Result<CredentialState, Error> {
        let fold = |id: RotationId| {
            let entries = self.rotations.get(&id).into_iter().flatten();
            let events = entries.map(|entry| (entry.at, entry.event.clone()));
            Rotation::fold(events).map_err(|history| Error::from((id, history)))
        };
        Ok(CredentialState { record: record.clone(), rotation: record.open.map(fold).transpose()? })
    }

    /// Of rotations that something happened to since then.
    pub(super) fn entries_since(&self, since: Timestamp) -> impl Iterator<Item = &Entry> {
        let recent = move |entries: &&Vec<Entry>| entries.last().is_some_and(|last| last.at >= since);
        self.rotations.values().filter(recent).flatten()
    }

    pub(super) fn check_entry(&self, entry: &Entry) -> Result<(), Error> {
        let Entry { rotation, sequence, at: _, credential, workspace, actor: _, key: _, event } = entry;
        let written = self.rotations.get(rotation).map_or(&[][..], Vec::as_slice);
        let length = u64::try_from(written.len()).unwrap_or(u64::MAX);
        if length != *sequence {
            return Err(Error::Conflict(format!("rotation {rotation} has {length} entries, not {sequence}")));
        }
        let refused =
            |why: &str| Error::Corrupt { place: format!("rotation {rotation}"), why: why.to_owned() };
        if matches!(event, Event::Begun(_)) != (length == 0) {
            return Err(refused("a rotation begins once, with its beginning"));
        }
        match written.first() {
            Some(first) if (&first.credential, &first.workspace) != (credential, workspace) => {
                Err(refused("it is of another credential or workspace"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn check_record(&self, record: &Record, with: Option<&Entry>) -> Result<(), Error> {
        let Record { credential, revision, open, .. } = record;
        let stored = self.records.get(credential).map_or(0, |record| record.revision);
        if stored + 1 != *revision {
            return Err(Error::Conflict(format!("the record of {credential} has revision {stored}")));
        }
        let is_owned = |id: &RotationId| {
            let written = self.rotations.get(id).into_iter().flatten();
            with.into_iter()
                .chain(written)
                .any(|entry| entry.rotation == *id && entry.credential == *credential)
        };
        if open.as_ref().is_none_or(is_owned) {
            Ok(())
        } else {
            let place = format!("the record of {credential}");
            Err(Error::Corrupt { place, why: "its open rotation is not in the journal".to_owned() })
        }
    }

    pub(super) fn head(&self) -> Head {
        self.audit.last().map_or_else(Head::genesis, ChainedAct::head)
    }

    pub(super) fn seal(&mut self, act: Act) {
        let sealed = ChainedAct::after(&self.head(), act);
        self.audit.push(sealed);
    }

    pub(super) fn push(&mut self, entry: Entry) {
        if matches!(entry.event, Event::MintIntended { .. }) {
            self.mints.insert((entry.workspace.clone(), entry.at, entry.rotation, entry.sequence));
        }
        self.rotations.entry(entry.rotation).or_default().push(entry);
    }

    pub(super) fn put(&mut self, record: &Record) {
        self.records.insert(record.credential.clone(), record.clone());
    }
}
