//! Reconciles one credential alone, again and again, for a caller that keeps the time: to play forward what would be
//! done. No other credential is waited for, and nothing that concerns a whole workspace is done.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::domain::audit::Actor;
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;
use crate::engine::context::Context;
use crate::engine::emergency::EmergencyPermit;
use crate::engine::reconciler::{Action, Reconciler};
use crate::engine::shared_state::SharedState;
use crate::engine::work::{Memory, Work};
use crate::ports::journal::{self, CredentialState, Journal};
use crate::ports::meter::Unmetered;

pub struct SingleRun {
    reconciler: Reconciler,
}

/// Why a reconciliation ended without a result: its journal cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the credential's journal cannot be used")]
pub struct SingleRunError;

impl SingleRun {
    /// Continues from the credential's state in the journal. The journal's holds are obeyed.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn take(context: Context, known: CredentialState) -> Result<Self, journal::Error> {
        let shared = Arc::new(SharedState::load(Arc::<dyn Journal>::clone(&context.journal)).await?);
        let CredentialState { record, rotation } = known;
        let reconciler = Reconciler {
            context: Arc::new(context),
            record,
            work: Work::new(rotation, Memory::default()),
            look: None,
            hint: None,
            inspects_in_service: false,
            permit: EmergencyPermit::Given,
            interrupt: CancellationToken::new(),
            quit: CancellationToken::new(),
            shared,
            meter: Arc::new(Unmetered),
            actor: Actor::default(),
            hurried: false,
        };
        Ok(Self { reconciler })
    }

    /// Does everything that can be done without waiting, and returns when there is more to do; `None` if only an
    /// operator can change that.
    ///
    /// # Errors
    /// The journal refused what was written, or could not be read.
    pub async fn go(&mut self) -> Result<Option<Timestamp>, SingleRunError> {
        match Box::pin(self.reconciler.reconcile(false, Vec::new())).await {
            Ok(Action::RequeueAt(at)) => Ok(Some(at)),
            Ok(Action::AwaitChange) => Ok(None),
            Err(_) => Err(SingleRunError),
        }
    }

    #[must_use]
    pub fn record(&self) -> &Record {
        &self.reconciler.record
    }

    #[must_use]
    pub fn rotation(&self) -> Option<&Rotation> {
        self.reconciler.work.rotation()
    }
}
