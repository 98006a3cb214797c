//! The journal: what rekeyd knows, durably. It never holds a value.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::ack::Ack;
use crate::domain::audit::events::Place;
use crate::domain::audit::{Act, Actor, Head, Sealed};
use crate::domain::event::Event;
use crate::domain::gate::Observed;
use crate::domain::hold::{Hold, HoldKind, Scope};
use crate::domain::ids::{CredentialName, KeyId, RotationId, WorkspaceName};
use crate::domain::record::Record;
use crate::domain::rotation::{CorruptHistory, Rotation};

/// One event of one rotation. `sequence` counts from 0 within the rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub rotation: RotationId,
    pub sequence: u64,
    pub at: Timestamp,
    pub credential: CredentialName,
    pub workspace: WorkspaceName,
    /// Who made it happen.
    pub actor: Actor,
    /// The key that it is about, if it is about one.
    pub key: Option<KeyId>,
    pub event: Event,
}

impl Entry {
    /// What the audit log says of it, when it is written.
    #[must_use]
    pub fn act(&self) -> Act {
        self.act_as_written(&serde_json::to_string(&self.event).unwrap_or_default())
    }

    /// What the audit log has to say of it, by the text that was read.
    #[must_use]
    pub fn act_as_written(&self, written: &str) -> Act {
        let Self { rotation, sequence, at, credential, workspace, actor, key, event } = self;
        let (rotation, sequence, at) = (*rotation, *sequence, *at);
        Act::of_event(
            &Place { rotation, sequence, at, credential, workspace, actor, key: key.as_ref() },
            event,
            written,
        )
    }
}

/// What is known of one credential: its record and, folded, the rotation that is under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialState {
    pub record: Record,
    pub rotation: Option<Rotation>,
}

/// A rotation in the list of a credential's rotations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationHistory {
    pub rotation: RotationId,
    pub entries: Vec<Entry>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else wrote what we were about to write, or we wrote it before and did not hear of it.
    #[error("the journal has changed under us: {0}")]
    Conflict(String),
    /// The disk is full or read-only, the database does not answer: nothing was written, try again.
    #[error("the journal cannot be used: {0}")]
    Unavailable(String),
    /// A row that rekeyd cannot have written.
    #[error("the journal is damaged at {place}: {why}")]
    Corrupt { place: String, why: String },
}

impl From<(RotationId, CorruptHistory)> for Error {
    fn from((rotation, history): (RotationId, CorruptHistory)) -> Self {
        Self::Corrupt { place: format!("rotation {rotation}"), why: history.to_string() }
    }
}

/// Everything that has to survive a crash. Each write is durable when its method returns `Ok`, and whole: after any
/// error but `Conflict` nothing of it is there, or all of it and the next identical attempt says `Conflict`.
///
/// What is done or decided is recorded in the audit log by the same write that makes it durable: neither is ever there
/// without the other. Its records are chained in the order in which they were written, and none ever changes or goes.
///
/// The contract is written to fit an embedded database of one process as well as a shared one with several.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Every credential ever recorded. A credential whose rows are damaged comes as an error in its place, so that
    /// it is stopped and the others are not.
    ///
    /// # Errors
    /// The journal as a whole cannot be read.
    async fn load(&self) -> Result<Vec<(CredentialName, Result<CredentialState, Error>)>, Error>;

    /// Loads one credential; `None` if it was never recorded.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn load_one(&self, credential: &CredentialName) -> Result<Option<CredentialState>, Error>;

    /// How often a credential's record was changed, also where the rest of its row is damaged; `None` if it was never
    /// recorded.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn revision(&self, credential: &CredentialName) -> Result<Option<u64>, Error>;

    /// Appends one event, and its record, if the rotation has exactly `entry.sequence` events, and in the same transaction replaces
    /// the credential's record, if given, under the rule of [`Self::save`].
    ///
    /// # Errors
    /// `Conflict`: another length, or another revision; nothing was written.
    async fn append(&self, entry: &Entry, record: Option<&Record>) -> Result<(), Error>;

    /// Replaces a record whose stored revision is one less than `record.revision` (a record of revision 1 is new), and
    /// records `acts`, in their order.
    ///
    /// # Errors
    /// `Conflict`: another revision; nothing was written.
    async fn save(&self, record: &Record, acts: &[Act]) -> Result<(), Error>;

    /// One rotation's entries in order; empty if it is not known.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn entries(&self, rotation: RotationId) -> Result<Vec<Entry>, Error>;

    /// A credential's newest rotations, newest first, at most `limit`.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn history(&self, credential: &CredentialName, limit: usize)
    -> Result<Vec<RotationHistory>, Error>;

    /// Rotations of one credential, or of all, that began before `before`, newest first, at most `limit`.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn rotations(
        &self,
        of: Option<&CredentialName>,
        before: Option<RotationId>,
        limit: usize,
    ) -> Result<Vec<(RotationId, CredentialName)>, Error>;

    /// The credential that a rotation belongs to; `None` for one that this journal does not know.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn owner_of(&self, rotation: RotationId) -> Result<Option<CredentialName>, Error>;

    /// When mints were intended in a workspace since (and including) `since`, oldest first: the mint budget's ledger.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn mints_since(&self, workspace: &WorkspaceName, since: Timestamp)
    -> Result<Vec<Timestamp>, Error>;

    /// The events of these names that happened in a workspace since (and including) `since`, oldest first: what the
    /// breaker goes by.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn events_since(
        &self,
        workspace: &WorkspaceName,
        names: &[&'static str],
        since: Timestamp,
    ) -> Result<Vec<Entry>, Error>;

    /// Keeps an acknowledgement. Of each consumer only the newest by `at` is kept; an older one is ignored. It is
    /// recorded if the consumer says something else than before.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn acknowledge(&self, credential: &CredentialName, ack: &Ack) -> Result<(), Error>;

    /// The newest acknowledgement of each consumer, by consumer.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn acks(&self, credential: &CredentialName) -> Result<Vec<Ack>, Error>;

    /// Keeps what was observed of a rotation, in place of what was kept of the credential before.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn observe(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
        observed: &Observed,
        at: Timestamp,
    ) -> Result<(), Error>;

    /// What was last observed of this rotation; `None` if nothing was.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn observed(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
    ) -> Result<Option<Observed>, Error>;

    /// Puts a hold in force. One of the same scope that holds the same stays as it is, except that a person's takes the
    /// place of a breaker's. It is recorded unless everything stays as it is.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn hold(&self, hold: &Hold) -> Result<(), Error>;

    /// Lifts a hold, and keeps when; that there is none is success, and is not recorded.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn lift(&self, scope: &Scope, what: HoldKind, actor: &Actor, at: Timestamp) -> Result<(), Error>;

    /// When such a hold was last lifted; `None` if it never was.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn lifted(&self, scope: &Scope, what: HoldKind) -> Result<Option<Timestamp>, Error>;

    /// Every hold in force.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn holds(&self) -> Result<Vec<Hold>, Error>;

    /// Records what belongs to nothing else that is written here.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn record(&self, act: &Act) -> Result<(), Error>;

    /// Where the audit log ends.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn audit_head(&self) -> Result<Head, Error>;

    /// The records after number `after`, in their order, at most `limit`.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<Sealed>, Error>;
}
