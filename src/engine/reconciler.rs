//! One visit to one credential: everything that can be done without waiting, each step journalled.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use crate::call_context;
use crate::call_context::CallOrigin;
use crate::domain::audit::Actor;
use crate::domain::backoff;
use crate::domain::effect::{self, Effect};
use crate::domain::event::Event;
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::rotation::{LastFailure, Rotation};
use crate::domain::secret::SecretValue;
use crate::domain::time::later;
use crate::engine::admission::Admission;
use crate::engine::commands::{Command, CommandRequest};
use crate::engine::commit::ReconcileError;
use crate::engine::context::Context;
use crate::engine::effects::Outcome;
use crate::engine::emergency::EmergencyPermit;
use crate::engine::inspect::InspectionHint;
use crate::ports::journal::CredentialState;
use crate::ports::meter::Meter;

/// A clock that was set back must not turn a short back-off into a long one.
const BACKOFF_MAX: SignedDuration = SignedDuration::from_hours(2);

/// What a visitor takes along, and brings back changed.
pub(super) struct Reconciler {
    pub(super) context: Arc<Context>,
    pub(super) record: Record,
    /// Under way; `None` between rotations.
    pub(super) rotation: Option<Rotation>,
    /// The new key's value, from its creation until the rotation is over. The only place where it is kept.
    pub(super) value: Option<SecretValue>,
    /// Held from the mint budget's count until the intent is journalled.
    pub(super) mint_permit: Option<OwnedMutexGuard<()>>,
    /// What an inspection showed of the credential, to be looked at first.
    pub(super) hint: Option<InspectionHint>,
    pub(super) permit: EmergencyPermit,
    /// Asks the visitor to come back at the next journalled point.
    pub(super) pause: CancellationToken,
    /// Asks it to come back even if the journal cannot be written.
    pub(super) quit: CancellationToken,
    pub(super) admission: Arc<Admission>,
    /// By whose word the visitor acts just now.
    pub(super) actor: Actor,
    pub(super) meter: Arc<dyn Meter>,
}

/// How a visit ended.
pub(super) enum Ending {
    /// Nothing to do before `wake`; `None` if only an request or a reload can change that.
    Rest {
        wake: Option<Timestamp>,
    },
    Halted(ReconcileError),
}

impl Reconciler {
    /// Visits, after reading the credential anew if what is known of it may be stale, and carries out requests first.
    pub(super) async fn run(mut self, reread: bool, requests: Vec<CommandRequest>) -> (Self, Ending) {
        let ending = match self.attend(reread, requests).await {
            Ok(wake) => Ending::Rest { wake },
            Err(halt) => Ending::Halted(halt),
        };
        self.mint_permit = None;
        (self, ending)
    }

    async fn attend(
        &mut self,
        reread: bool,
        mut requests: Vec<CommandRequest>,
    ) -> Result<Option<Timestamp>, ReconcileError> {
        if let Some(at) = requests.iter().position(|request| request.command == Command::Repair) {
            Box::pin(self.repair(requests.remove(at))).await?;
            self.actor = Actor::Policy;
        }
        if reread && let Some(known) = self.reread().await? {
            self.record = known.record;
            self.rotation = known.rotation;
        }
        if let Some(event) = self.rotation.as_ref().and_then(effect::on_resume) {
            self.commit(event).await?;
        }
        self.adopt_terms().await?;
        for request in requests {
            self.actor = request.actor();
            Box::pin(self.carry_out(request)).await?;
            self.actor = Actor::Policy;
        }
        if let Some(hint) = self.hint.take() {
            self.inspect(&hint).await?;
        }
        loop {
            // A thousand visits that find nothing to do must not each take the memory of one that does everything.
            let rest = match self.rotation {
                Some(_) => {
                    let origin = self.rotation.as_ref().map(CallOrigin::of);
                    call_context::with_origin(origin, Box::pin(self.advance())).await?
                }
                None => Box::pin(self.idle()).await?,
            };
            if let Rest::Until(wake) = rest {
                return Ok(wake);
            }
            if self.pause.is_cancelled() && !self.would_cost_a_key() {
                return Ok(Some(self.context.now()));
            }
        }
    }

    async fn reread(&self) -> Result<Option<CredentialState>, ReconcileError> {
        self.context.journal.load_one(&self.record.credential).await.map_err(ReconcileError::reading)
    }

    /// A journalled intent to mint is carried out at once or never, and a value that is only in memory goes into its
    /// first destination before anything else: a pause in between could end the process, and would cost the key.
    fn would_cost_a_key(&self) -> bool {
        let pending = self.rotation.as_ref().and_then(effect::pending);
        matches!(pending, Some(Effect::Mint | Effect::Stage { destination: 0 }))
    }

    /// A reload may change the terms of a rotation that is under way; the rest of its plan is frozen.
    async fn adopt_terms(&mut self) -> Result<(), ReconcileError> {
        let (Some(rotation), Some(credential)) =
            (&self.rotation, self.context.credential(&self.record.credential))
        else {
            return Ok(());
        };
        if rotation.plan.emergency || rotation.plan.terms == credential.terms {
            return Ok(());
        }
        let terms = credential.terms.clone();
        self.commit(Event::TermsRevised { terms }).await
    }

    /// One effect and its outcome.
    async fn advance(&mut self) -> Result<Rest, ReconcileError> {
        if let Some(rest) = Box::pin(self.answer_leaks()).await? {
            return Ok(rest);
        }
        if let Some(event) = Box::pin(self.expiry_meanwhile()).await {
            self.commit(event).await?;
            return Ok(Rest::No);
        }
        let Some(rotation) = &self.rotation else { return Ok(Rest::No) };
        let Some(effect) = effect::pending(rotation) else { return Ok(Rest::Until(None)) };
        let now = self.context.now();
        if let Some(last_failure) = rotation.last_failure.as_ref().filter(|_| effect != Effect::Mint) {
            let not_before = self.not_before(last_failure, now);
            if now < not_before {
                return Ok(Rest::Until(Some(not_before)));
            }
        }
        // Whatever is logged of the calls that it makes names the rotation.
        let (credential, rotation) = (&rotation.plan.credential, rotation.plan.rotation);
        let span = tracing::info_span!("effect", %credential, %rotation, effect = effect.name().label());
        match Box::pin(self.act(effect)).instrument(span).await {
            Ok(Outcome::Happened(event)) => {
                self.commit(event).await?;
                self.mint_permit = None;
                Ok(Rest::No)
            }
            Ok(Outcome::Wait(until)) => Ok(Rest::Until(Some(until))),
            Err(failure) => {
                self.commit(Event::EffectFailed { effect: effect.name(), failure }).await?;
                Ok(Rest::No)
            }
        }
    }

    fn not_before(&self, last_failure: &LastFailure, now: Timestamp) -> Timestamp {
        let wait = backoff::CALLS.wait(
            last_failure.failures,
            last_failure.last.retry_after,
            &self.record.credential,
        );
        let at = later(last_failure.last_at, wait);
        if at.duration_since(now) > BACKOFF_MAX { now } else { at }
    }

    pub(super) fn policy(&self) -> Option<&Credential> {
        self.context.credential(&self.record.credential)
    }
}

/// Whether the visitor rests.
pub(super) enum Rest {
    No,
    Until(Option<Timestamp>),
}
