//! The journal port over SQLite: one file, one process, one thread that writes and one that reads.
//!
//! Write-ahead log with full sync: what a method acknowledged survives the loss of power. The schema repeats the
//! port's rules as constraints and triggers, and a person may look at it with `sqlite3 -readonly` at any time.

mod acks;
mod audit;
mod lock;
mod migrations;
mod open;
mod outbox;
mod read;
mod read_only;
mod rows;
mod statement_error;
mod write;

use std::fmt;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::adapters::sqlite::rows::{AckRow, EntryRow, HoldRow, LiftRow, ObservationRow, RecordRow};
use crate::adapters::sqlite::statement_error::StatementError;
use crate::adapters::sqlite::write::{Request, Write, Writer};
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
use crate::ports::journal::{CredentialState, CredentialStates, Entry, Error, OpenError, RotationHistory};

pub use crate::adapters::sqlite::read_only::ReadOnlyJournal;

/// Requests that may wait for the thread; further callers wait for a place.
const REQUESTS_WAITING_MAX: usize = 256;

type Question = Box<dyn FnOnce(&Connection) + Send>;

/// The journal of the one daemon that holds its lock.
///
/// A write whose caller stops waiting may still be done: the journal says whether it was.
pub struct SqliteJournal {
    path: PathBuf,
    writer: Thread<Request>,
    reader: Thread<Question>,
}

impl SqliteJournal {
    /// Opens the journal at `path`, or creates it, and brings its schema up to date. Blocks: it reads the whole file
    /// once to see that it is sound. Until the result is dropped, no other process can open it so.
    ///
    /// # Errors
    /// Each error says what to do. A journal that was there is as it was.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let path = &open::resolve(path)?;
        let is_new = open::create(path)?;
        let lock = lock::acquire(path)?;
        let connection = open::writer(path, is_new)?;
        let reading = open::reader(path)?;
        let spawned = |error: std::io::Error| OpenError::io("start a thread for the journal", path, &error);
        let writer = Writer { connection, path: path.to_owned(), lock };
        let writer = Thread::spawn("journal-writer", |inbox| writer.run(inbox)).map_err(spawned)?;
        let reader = Thread::spawn("journal-reader", move |mut inbox: mpsc::Receiver<Question>| {
            while let Some(question) = inbox.blocking_recv() {
                question(&reading);
            }
        })
        .map_err(spawned)?;
        Ok(Self { path: path.to_owned(), writer, reader })
    }

    /// Opens the journal at `path` to look at it, whether or not a daemon has it.
    ///
    /// # Errors
    /// Each error says what to do. Nothing was created.
    pub fn open_read_only(path: &Path) -> Result<ReadOnlyJournal, OpenError> {
        ReadOnlyJournal::open(path)
    }

    async fn write(&self, write: Write) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        self.writer.send(Request { write, reply }).await.ok_or_else(|| self.stopped())?;
        answer.await.map_err(|_| self.stopped())?
    }

    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StatementError> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let ask: Question = Box::new(move |connection| {
            // Whoever stopped waiting does not need it.
            drop(reply.send(question(connection)));
        });
        self.reader.send(ask).await.ok_or_else(|| self.stopped())?;
        answer.await.map_err(|_| self.stopped())?.map_err(|failed| failed.into_error(&self.path))
    }

    fn stopped(&self) -> Error {
        Error::Unavailable(format!("{}: its thread has stopped; restart rekeyd", self.path.display()))
    }
}

impl Drop for SqliteJournal {
    /// Waits for the writes under way, so that whoever opens the journal next finds it closed and unlocked.
    fn drop(&mut self) {
        self.reader.stop();
        self.writer.stop();
    }
}

impl fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteJournal").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A thread that owns a connection, and the way to it.
struct Thread<T> {
    inbox: Option<mpsc::Sender<T>>,
    handle: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Thread<T> {
    fn spawn(name: &str, body: impl FnOnce(mpsc::Receiver<T>) + Send + 'static) -> std::io::Result<Self> {
        let (inbox, outbox) = mpsc::channel(REQUESTS_WAITING_MAX);
        let handle = std::thread::Builder::new().name(name.to_owned()).spawn(move || body(outbox))?;
        Ok(Self { inbox: Some(inbox), handle: Some(handle) })
    }

    /// `None` if the thread is gone.
    async fn send(&self, message: T) -> Option<()> {
        self.inbox.as_ref()?.send(message).await.ok()
    }

    fn stop(&mut self) {
        self.inbox = None;
        if let Some(handle) = self.handle.take() {
            // A panic in it was reported by the panic hook; whoever waited for it was told.
            drop(handle.join());
        }
    }
}

#[async_trait]
impl RotationLog for SqliteJournal {
    async fn append(&self, entry: &Entry, record: Option<&Record>) -> Result<(), Error> {
        let record = record.map(RecordRow::of).transpose()?;
        self.write(Write::Append { entry: EntryRow::of(entry)?, record, act: entry.act() }).await
    }

    async fn entries(&self, rotation: RotationId) -> Result<Vec<Entry>, Error> {
        self.read(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            read::entries(&snapshot, rotation)
        })
        .await
    }

    async fn history(
        &self,
        credential: &CredentialName,
        limit: usize,
    ) -> Result<Vec<RotationHistory>, Error> {
        let credential = credential.clone();
        self.read(move |connection| read::history(connection, &credential, limit)).await
    }

    async fn rotations(
        &self,
        of: Option<&CredentialName>,
        before: Option<RotationId>,
        limit: usize,
    ) -> Result<Vec<(RotationId, CredentialName)>, Error> {
        let of = of.cloned();
        self.read(move |connection| read::rotations(connection, of.as_ref(), before, limit)).await
    }

    async fn owner_of(&self, rotation: RotationId) -> Result<Option<CredentialName>, Error> {
        self.read(move |connection| read::owner_of(connection, rotation)).await
    }
}

#[async_trait]
impl Records for SqliteJournal {
    async fn load(&self) -> Result<CredentialStates, Error> {
        self.read(read::load).await
    }

    async fn load_one(&self, credential: &CredentialName) -> Result<Option<CredentialState>, Error> {
        let credential = credential.clone();
        self.read(move |connection| {
            let snapshot = connection.unchecked_transaction()?;
            read::load_one(&snapshot, &credential)
        })
        .await
    }

    async fn revision(&self, credential: &CredentialName) -> Result<Option<u64>, Error> {
        let credential = credential.clone();
        self.read(move |connection| read::revision(connection, &credential)).await
    }

    async fn probe(&self) -> Result<(), Error> {
        self.write(Write::Probe).await
    }

    async fn save(&self, record: &Record, acts: &[Act]) -> Result<(), Error> {
        self.write(Write::Save(RecordRow::of(record)?, acts.to_vec())).await
    }
}

#[async_trait]
impl WorkspaceActivity for SqliteJournal {
    async fn mints_since(
        &self,
        workspace: &WorkspaceName,
        since: Timestamp,
    ) -> Result<Vec<Timestamp>, Error> {
        let workspace = workspace.clone();
        self.read(move |connection| read::mints_since(connection, &workspace, since)).await
    }

    async fn events_since(
        &self,
        workspace: &WorkspaceName,
        names: &[&'static str],
        since: Timestamp,
    ) -> Result<Vec<Entry>, Error> {
        let (workspace, names) = (workspace.clone(), names.to_vec());
        self.read(move |connection| read::events_since(connection, &workspace, &names, since)).await
    }
}

#[async_trait]
impl Acknowledgements for SqliteJournal {
    async fn acknowledge(&self, credential: &CredentialName, ack: &Ack) -> Result<(), Error> {
        self.write(Write::Acknowledge(AckRow::of(credential, ack), changes::acknowledged(credential, ack)))
            .await
    }

    async fn acks(&self, credential: &CredentialName) -> Result<Vec<Ack>, Error> {
        let credential = credential.clone();
        self.read(move |connection| acks::of(connection, &credential)).await
    }

    async fn all_acks(&self) -> Result<AcksByCredential, Error> {
        self.read(acks::all).await
    }

    async fn observe(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
        observed: &Observations,
        at: Timestamp,
    ) -> Result<(), Error> {
        self.write(Write::Observe(ObservationRow::of(credential, rotation, observed, at)?)).await
    }

    async fn observed(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
    ) -> Result<Option<Observations>, Error> {
        let credential = credential.clone();
        self.read(move |connection| read::observed(connection, &credential, rotation)).await
    }
}

#[async_trait]
impl HoldRegister for SqliteJournal {
    async fn hold(&self, hold: &Hold) -> Result<(), Error> {
        self.write(Write::Hold(HoldRow::of(hold)?, changes::held(hold))).await
    }

    async fn lift(&self, scope: &Scope, what: HoldKind, actor: &Actor, at: Timestamp) -> Result<(), Error> {
        let act = changes::lifted(scope, what, actor.clone(), at);
        self.write(Write::Lift(LiftRow::of(scope, what, at), act)).await
    }

    async fn lifted(&self, scope: &Scope, what: HoldKind) -> Result<Option<Timestamp>, Error> {
        let scope = scope.clone();
        self.read(move |connection| read::lifted(connection, &scope, what)).await
    }

    async fn holds(&self) -> Result<Vec<Hold>, Error> {
        self.read(read::holds).await
    }
}

#[async_trait]
impl AuditLog for SqliteJournal {
    async fn record(&self, act: &Act) -> Result<(), Error> {
        self.write(Write::Record(act.clone())).await
    }

    async fn audit_head(&self) -> Result<Head, Error> {
        self.read(audit::head).await
    }

    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<ChainedAct>, Error> {
        self.read(move |connection| audit::records(connection, after, limit)).await
    }
}
