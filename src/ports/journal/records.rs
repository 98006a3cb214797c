//! The state of each credential between its rotations.

use async_trait::async_trait;

use crate::domain::audit::Act;
use crate::domain::ids::CredentialName;
use crate::domain::record::Record;
use crate::ports::journal::{CredentialState, CredentialStates, Error};

#[async_trait]
pub trait Records: Send + Sync {
    /// Loads every recorded credential. A credential with damaged rows comes as an error in its place, so that the
    /// others can go on.
    ///
    /// # Errors
    /// The journal as a whole cannot be read.
    async fn load(&self) -> Result<CredentialStates, Error>;

    /// Loads one credential; `None` if it was never recorded.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn load_one(&self, credential: &CredentialName) -> Result<Option<CredentialState>, Error>;

    /// The revision of a credential's record, even if the rest of the row is damaged; `None` if it was never recorded.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn revision(&self, credential: &CredentialName) -> Result<Option<u64>, Error>;

    /// Replaces the record whose stored revision is one less than `record.revision`, and appends `acts` to the audit log
    /// in their order. A record of revision 1 is new.
    ///
    /// # Errors
    /// `Conflict`: the stored record has another revision; nothing was written. `Corrupt` or `Unavailable`.
    async fn save(&self, record: &Record, acts: &[Act]) -> Result<(), Error>;

    /// Makes a write durable that changes nothing: whether the journal takes writes at all.
    ///
    /// # Errors
    /// `Unavailable`: it does not.
    async fn probe(&self) -> Result<(), Error>;
}
