//! One credential alone, visited again and again by whoever keeps its time: for playing forward what would be done to
//! it. Nobody else is waited for, and nothing that concerns a whole workspace is done.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::domain::audit::Actor;
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;
use crate::domain::secret::SecretValue;
use crate::engine::admission::Admission;
use crate::engine::context::Context;
use crate::engine::emergency::EmergencyPermit;
use crate::engine::reconciler::{Ending, Reconciler};
use crate::ports::journal::{self, CredentialState, Journal};
use crate::ports::meter::Unmetered;

pub struct SingleRun {
    context: Arc<Context>,
    admission: Arc<Admission>,
    record: Record,
    rotation: Option<Rotation>,
    value: Option<SecretValue>,
}

/// Why a visit came to nothing: its journal cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the credential's journal cannot be used")]
pub struct SingleRunError;

impl SingleRun {
    /// Takes over where the journal has the credential. The holds of the journal are heeded.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn take(context: Context, known: CredentialState) -> Result<Self, journal::Error> {
        let admission = Arc::new(Admission::load(Arc::<dyn Journal>::clone(&context.journal)).await?);
        let CredentialState { record, rotation } = known;
        Ok(Self { context: Arc::new(context), admission, record, rotation, value: None })
    }

    /// Does everything that can be done without waiting, and says when there is more; `None` if only a person can
    /// change that.
    ///
    /// # Errors
    /// The journal refused what was written, or could not be read.
    pub async fn go(&mut self) -> Result<Option<Timestamp>, SingleRunError> {
        let visit = Reconciler {
            context: Arc::clone(&self.context),
            record: self.record.clone(),
            rotation: self.rotation.take(),
            value: self.value.take(),
            mint_permit: None,
            hint: None,
            permit: EmergencyPermit::Given,
            pause: CancellationToken::new(),
            quit: CancellationToken::new(),
            admission: Arc::clone(&self.admission),
            meter: Arc::new(Unmetered),
            actor: Actor::default(),
        };
        let (visit, ending) = Box::pin(visit.run(false, Vec::new())).await;
        let Reconciler { record, rotation, value, .. } = visit;
        (self.record, self.rotation, self.value) = (record, rotation, value);
        match ending {
            Ending::Rest { wake } => Ok(wake),
            Ending::Halted(_) => Err(SingleRunError),
        }
    }

    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    #[must_use]
    pub fn rotation(&self) -> Option<&Rotation> {
        self.rotation.as_ref()
    }
}
