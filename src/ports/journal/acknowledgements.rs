//! The evidence that gates are evaluated on: acknowledgements of consumers, and rekeyd's own observations.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::ack::Ack;
use crate::domain::gate::Observations;
use crate::domain::ids::{CredentialName, RotationId};
use crate::ports::journal::Error;

#[async_trait]
pub trait Acknowledgements: Send + Sync {
    /// Stores an acknowledgement in place of the consumer's earlier one; one that is older by `at` is ignored. Appends an
    /// audit record if the consumer reports another fingerprint or health than before. May be repeated.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn acknowledge(&self, credential: &CredentialName, ack: &Ack) -> Result<(), Error>;

    /// The newest acknowledgement of each consumer, by consumer.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn acks(&self, credential: &CredentialName) -> Result<Vec<Ack>, Error>;

    /// Stores the observations of a rotation in place of the credential's earlier ones. May be repeated.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn observe(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
        observed: &Observations,
        at: Timestamp,
    ) -> Result<(), Error>;

    /// The last observations of this rotation; `None` if there are none.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn observed(
        &self,
        credential: &CredentialName,
        rotation: RotationId,
    ) -> Result<Option<Observations>, Error>;
}
