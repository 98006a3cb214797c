//! The evidence that gates are evaluated on: acknowledgements of consumers, and rekeyd's own observations.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::ack::Ack;
use crate::domain::gate::Observations;
use crate::domain::ids::{CredentialName, RotationId};
use crate::ports::journal::Error;

/// Acknowledgements, or how the rows are damaged, by credential.
pub type AcksByCredential = BTreeMap<CredentialName, Result<Vec<Ack>, Error>>;

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

    /// The same of every credential that has any, in one read. A damaged row is the error of its credential alone.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn all_acks(&self) -> Result<AcksByCredential, Error>;

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
