//! A journal that can be made unusable.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use async_trait::async_trait;
use jiff::Timestamp;
use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::domain::ack::Ack;
use rekeyd::domain::audit::{Act, Actor, ChainedAct, Head};
use rekeyd::domain::gate::Observations;
use rekeyd::domain::hold::{Hold, HoldKind, Scope};
use rekeyd::domain::ids::{CredentialName, RotationId, WorkspaceName};
use rekeyd::domain::record::Record;
use rekeyd::ports::journal::{
    Acknowledgements, AcksByCredential, AuditLog, HoldRegister, Records, RotationLog, WorkspaceActivity,
};
use rekeyd::ports::journal::{CredentialState, CredentialStates, Entry, Error, RotationHistory};

#[derive(Default)]
pub(crate) struct Fragile {
    journal: MemoryJournal,
    pub(crate) is_broken: AtomicBool,
    /// Rotations and records cannot be written, and all can be read.
    pub(crate) is_full: AtomicBool,
    /// How often the acknowledgements of one credential were read, and of all.
    pub(crate) reads_of_acks: AtomicUsize,
    pub(crate) reads_of_all_acks: AtomicUsize,
}

impl Fragile {
    fn usable(&self) -> Result<&MemoryJournal, Error> {
        match self.is_broken.load(SeqCst) {
            true => Err(Error::Unavailable("the disk is gone".to_owned())),
            false => Ok(&self.journal),
        }
    }

    fn roomy(&self) -> Result<&MemoryJournal, Error> {
        match self.is_full.load(SeqCst) {
            true => Err(Error::Unavailable("the disk is full".to_owned())),
            false => self.usable(),
        }
    }
}

#[async_trait]
impl RotationLog for Fragile {
    async fn append(&self, entry: &Entry, record: Option<&Record>) -> Result<(), Error> {
        self.roomy()?.append(entry, record).await
    }
    async fn entries(&self, rotation: RotationId) -> Result<Vec<Entry>, Error> {
        self.usable()?.entries(rotation).await
    }
    async fn history(
        &self,
        credential: &CredentialName,
        limit: usize,
    ) -> Result<Vec<RotationHistory>, Error> {
        self.usable()?.history(credential, limit).await
    }
    async fn rotations(
        &self,
        of: Option<&CredentialName>,
        before: Option<RotationId>,
        limit: usize,
    ) -> Result<Vec<(RotationId, CredentialName)>, Error> {
        self.usable()?.rotations(of, before, limit).await
    }
    async fn owner_of(&self, rotation: RotationId) -> Result<Option<CredentialName>, Error> {
        self.usable()?.owner_of(rotation).await
    }
}

#[async_trait]
impl Records for Fragile {
    async fn load(&self) -> Result<CredentialStates, Error> {
        self.usable()?.load().await
    }
    async fn load_one(&self, credential: &CredentialName) -> Result<Option<CredentialState>, Error> {
        self.usable()?.load_one(credential).await
    }
    async fn revision(&self, credential: &CredentialName) -> Result<Option<u64>, Error> {
        self.usable()?.revision(credential).await
    }
    async fn probe(&self) -> Result<(), Error> {
        self.roomy()?.probe().await
    }
    async fn save(&self, record: &Record, acts: &[Act]) -> Result<(), Error> {
        self.roomy()?.save(record, acts).await
    }
}

#[async_trait]
impl WorkspaceActivity for Fragile {
    async fn mints_since(&self, workspace: &WorkspaceName, at: Timestamp) -> Result<Vec<Timestamp>, Error> {
        self.usable()?.mints_since(workspace, at).await
    }
    async fn events_since(
        &self,
        of: &WorkspaceName,
        names: &[&'static str],
        since: Timestamp,
    ) -> Result<Vec<Entry>, Error> {
        self.usable()?.events_since(of, names, since).await
    }
}

#[async_trait]
impl Acknowledgements for Fragile {
    async fn acknowledge(&self, credential: &CredentialName, ack: &Ack) -> Result<(), Error> {
        self.usable()?.acknowledge(credential, ack).await
    }
    async fn acks(&self, credential: &CredentialName) -> Result<Vec<Ack>, Error> {
        self.reads_of_acks.fetch_add(1, SeqCst);
        self.usable()?.acks(credential).await
    }
    async fn all_acks(&self) -> Result<AcksByCredential, Error> {
        self.reads_of_all_acks.fetch_add(1, SeqCst);
        self.usable()?.all_acks().await
    }
    async fn observe(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
        observed: &Observations,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.usable()?.observe(credential, rotation, observed, at).await
    }
    async fn observed(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
    ) -> Result<Option<Observations>, Error> {
        self.usable()?.observed(credential, rotation).await
    }
}

#[async_trait]
impl HoldRegister for Fragile {
    async fn hold(&self, hold: &Hold) -> Result<(), Error> {
        self.usable()?.hold(hold).await
    }
    async fn lift(&self, scope: &Scope, what: HoldKind, actor: &Actor, at: Timestamp) -> Result<(), Error> {
        self.usable()?.lift(scope, what, actor, at).await
    }
    async fn lifted(&self, scope: &Scope, what: HoldKind) -> Result<Option<Timestamp>, Error> {
        self.usable()?.lifted(scope, what).await
    }
    async fn holds(&self) -> Result<Vec<Hold>, Error> {
        self.usable()?.holds().await
    }
}

#[async_trait]
impl AuditLog for Fragile {
    async fn record(&self, act: &Act) -> Result<(), Error> {
        self.usable()?.record(act).await
    }
    async fn audit_head(&self) -> Result<Head, Error> {
        self.usable()?.audit_head().await
    }
    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<ChainedAct>, Error> {
        self.usable()?.audit(after, limit).await
    }
}
