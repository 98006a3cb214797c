//! Holds: pauses by operators and by breakers.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::audit::Actor;
use crate::domain::hold::{Hold, HoldKind, Scope};
use crate::ports::journal::Error;

#[async_trait]
pub trait HoldRegister: Send + Sync {
    /// Puts a hold in force. An existing hold of the same scope and kind stays, except that an operator's hold replaces a
    /// breaker's. Appends an audit record if anything changed. May be repeated.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn hold(&self, hold: &Hold) -> Result<(), Error>;

    /// Lifts a hold and stores the time. A hold that does not exist is success without an audit record.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn lift(&self, scope: &Scope, what: HoldKind, actor: &Actor, at: Timestamp) -> Result<(), Error>;

    /// When a hold of this scope and kind was last lifted; `None` if never.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn lifted(&self, scope: &Scope, what: HoldKind) -> Result<Option<Timestamp>, Error>;

    /// Every hold in force.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn holds(&self) -> Result<Vec<Hold>, Error>;
}
