//! The holds in force: the journal's rows, cached in memory so that every step can check them.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::domain::audit::Actor;
use crate::domain::hold::{Hold, HoldKind, Holds, Scope};
use crate::ports::journal::{self, HoldRegister};

/// Follows the journal, never the other way round.
pub(super) struct HoldCache {
    journal: Arc<dyn HoldRegister>,
    in_force: Mutex<Arc<Holds>>,
    /// One change at a time, from the journal's write until it is in force.
    changing: tokio::sync::Mutex<()>,
}

impl HoldCache {
    /// # Errors
    /// The holds cannot be read: then nothing may be done, because any of it may be held.
    pub(super) async fn load(journal: Arc<dyn HoldRegister>) -> Result<Self, journal::Error> {
        let holds = Holds::new(journal.holds().await?);
        for hold in holds.all() {
            tracing::warn!(%hold, way_out = hold.way_out(), "still held");
        }
        Ok(Self { journal, in_force: Mutex::new(Arc::new(holds)), changing: tokio::sync::Mutex::new(()) })
    }

    pub(super) fn in_force(&self) -> Arc<Holds> {
        Arc::clone(&self.in_force.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts a hold in force; after `Ok` it is durable, and every step that has not begun yet obeys it. Not to be
    /// cancelled.
    ///
    /// # Errors
    /// It is not in force.
    pub(super) async fn put(&self, hold: Hold) -> Result<(), journal::Error> {
        let _changing = self.changing.lock().await;
        self.journal.hold(&hold).await?;
        self.change(|holds| holds.put(hold));
        Ok(())
    }

    /// Lifts every hold of `scope` on one of `what`, and returns those that there were. Not to be cancelled.
    ///
    /// # Errors
    /// Those that were not reached are still in force.
    pub(super) async fn lift(
        &self,
        scope: &Scope,
        what: &[HoldKind],
        actor: &Actor,
        at: Timestamp,
    ) -> Result<Vec<Hold>, journal::Error> {
        let _changing = self.changing.lock().await;
        let mut lifted = Vec::new();
        for what in what {
            let Some(hold) = self.in_force().find(scope, *what).cloned() else { continue };
            self.journal.lift(scope, *what, actor, at).await?;
            self.change(|holds| holds.lift(scope, *what));
            lifted.push(hold);
        }
        Ok(lifted)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Holds) -> T) -> T {
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut in_force))
    }
}
