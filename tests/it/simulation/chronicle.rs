//! The journal of the simulation: the memory journal, before and after whose writes the process may die.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::domain::ack::Ack;
use rekeyd::domain::audit::{Act, Actor, ChainedAct, Head};
use rekeyd::domain::event::Event;
use rekeyd::domain::gate::Observations;
use rekeyd::domain::hold::{Hold, HoldKind, Scope};
use rekeyd::domain::ids::{CredentialName, RotationId, WorkspaceName};
use rekeyd::domain::record::Record;
use rekeyd::ports::journal::{
    Acknowledgements, AuditLog, HoldRegister, Records, RotationLog, WorkspaceActivity,
};
use rekeyd::ports::journal::{CredentialState, CredentialStates, Entry, Error, RotationHistory};

use super::fate::Fate;
use super::witness::Witness;

pub(super) struct Chronicle {
    pub(super) journal: MemoryJournal,
    pub(super) fate: Arc<Fate>,
    pub(super) witness: Arc<Witness>,
    pub(super) life: u64,
}

#[async_trait]
impl RotationLog for Chronicle {
    async fn append(&self, entry: &Entry, record: Option<&Record>) -> Result<(), Error> {
        let name = format!("journal {} {}", entry.credential, entry.event.name());
        self.fate.write(self.life, &name, "before").await;
        self.journal.append(entry, record).await?;
        self.witness.journalled(self.life, entry);
        if let Event::Begun(plan) = &entry.event {
            let known = self.journal.load().await?.into_iter();
            let known = known.map(|(name, known)| (name, known.unwrap().record)).collect();
            self.witness.begun(plan, &known);
        }
        self.fate.write(self.life, &name, "after").await;
        Ok(())
    }

    async fn entries(&self, rotation: RotationId) -> Result<Vec<Entry>, Error> {
        self.journal.entries(rotation).await
    }

    async fn history(
        &self,
        credential: &CredentialName,
        limit: usize,
    ) -> Result<Vec<RotationHistory>, Error> {
        self.journal.history(credential, limit).await
    }

    async fn rotations(
        &self,
        of: Option<&CredentialName>,
        before: Option<RotationId>,
        limit: usize,
    ) -> Result<Vec<(RotationId, CredentialName)>, Error> {
        self.journal.rotations(of, before, limit).await
    }

    async fn owner_of(&self, rotation: RotationId) -> Result<Option<CredentialName>, Error> {
        self.journal.owner_of(rotation).await
    }
}

#[async_trait]
impl Records for Chronicle {
    async fn load(&self) -> Result<CredentialStates, Error> {
        self.journal.load().await
    }

    async fn load_one(&self, credential: &CredentialName) -> Result<Option<CredentialState>, Error> {
        self.journal.load_one(credential).await
    }

    async fn revision(&self, credential: &CredentialName) -> Result<Option<u64>, Error> {
        self.journal.revision(credential).await
    }

    async fn save(&self, record: &Record, acts: &[Act]) -> Result<(), Error> {
        self.fate.write(self.life, "journal save", "before").await;
        self.journal.save(record, acts).await?;
        self.fate.write(self.life, "journal save", "after").await;
        Ok(())
    }
}

#[async_trait]
impl WorkspaceActivity for Chronicle {
    async fn mints_since(
        &self,
        workspace: &WorkspaceName,
        since: Timestamp,
    ) -> Result<Vec<Timestamp>, Error> {
        self.journal.mints_since(workspace, since).await
    }

    async fn events_since(
        &self,
        workspace: &WorkspaceName,
        names: &[&'static str],
        since: Timestamp,
    ) -> Result<Vec<Entry>, Error> {
        self.journal.events_since(workspace, names, since).await
    }
}

#[async_trait]
impl Acknowledgements for Chronicle {
    async fn acknowledge(&self, credential: &CredentialName, ack: &Ack) -> Result<(), Error> {
        self.journal.acknowledge(credential, ack).await
    }

    async fn acks(&self, credential: &CredentialName) -> Result<Vec<Ack>, Error> {
        self.journal.acks(credential).await
    }

    async fn observe(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
        observed: &Observations,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.fate.write(self.life, "journal observe", "before").await;
        self.journal.observe(credential, rotation, observed, at).await?;
        self.fate.write(self.life, "journal observe", "after").await;
        Ok(())
    }

    async fn observed(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
    ) -> Result<Option<Observations>, Error> {
        self.journal.observed(credential, rotation).await
    }
}

#[async_trait]
impl HoldRegister for Chronicle {
    async fn hold(&self, hold: &Hold) -> Result<(), Error> {
        self.fate.write(self.life, "journal hold", "before").await;
        self.journal.hold(hold).await?;
        self.fate.write(self.life, "journal hold", "after").await;
        Ok(())
    }

    async fn lift(&self, scope: &Scope, what: HoldKind, actor: &Actor, at: Timestamp) -> Result<(), Error> {
        self.fate.write(self.life, "journal lift", "before").await;
        self.journal.lift(scope, what, actor, at).await?;
        self.fate.write(self.life, "journal lift", "after").await;
        Ok(())
    }

    async fn lifted(&self, scope: &Scope, what: HoldKind) -> Result<Option<Timestamp>, Error> {
        self.journal.lifted(scope, what).await
    }

    async fn holds(&self) -> Result<Vec<Hold>, Error> {
        self.journal.holds().await
    }
}

#[async_trait]
impl AuditLog for Chronicle {
    async fn record(&self, act: &Act) -> Result<(), Error> {
        self.fate.write(self.life, "journal record", "before").await;
        self.journal.record(act).await?;
        self.fate.write(self.life, "journal record", "after").await;
        Ok(())
    }

    async fn audit_head(&self) -> Result<Head, Error> {
        self.journal.audit_head().await
    }

    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<ChainedAct>, Error> {
        self.journal.audit(after, limit).await
    }
}
