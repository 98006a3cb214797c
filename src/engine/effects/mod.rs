//! The effects of a rotation: what each does outside, and the event that reports it. One file per group of effects.
//!
//! Every function here may be cancelled or repeated at any point; [`crate::domain::effect::Effect`] says what makes that
//! safe. Nothing here writes the rotation: the [`crate::engine::reconciler`] commits the event.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::OwnedMutexGuard;

use crate::domain::acceptance::Acceptances;
use crate::domain::effect::Effect;
use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::hold::{Hold, HoldKind};
use crate::domain::ids::{KeyId, VersionId};
use crate::domain::key::{Inventory, Key};
use crate::domain::plan::{Destination, Plan};
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::rotation::{ParkReason, Rotation};
use crate::domain::secret::SecretValue;
use crate::domain::successor::{Placement, Served, Successor};
use crate::domain::time::later;
use crate::engine::commit::{PendingEntry, ReconcileError};
use crate::engine::context::Context;
use crate::engine::publishing_turns::PublishingTurn;
use crate::engine::shared_state::SharedState;
use crate::engine::workspace_client::{RecentMints, WorkspaceClient};
use crate::ports::secret_store::{SecretStore, StoredVersion, VersionRef};

mod admin;
mod evidence;
mod expire;
mod gates;
mod in_service;
mod late_reads;
mod minting;
mod precheck;
mod preflight;
mod promote;
mod revoke;
mod stage;
mod undo;
mod verify;

/// The result of an effect that has not failed.
pub(super) enum EffectOutcome {
    Happened(Event),
    /// Nothing yet: check again then, or when something happens.
    Wait(Timestamp),
}

type EffectResult = Result<EffectOutcome, Failure>;

/// The rotation under way, with everything that its effects work with.
pub(super) struct Effects<'r> {
    pub(super) context: &'r Arc<Context>,
    pub(super) shared: &'r SharedState,
    pub(super) record: &'r Record,
    pub(super) rotation: &'r Rotation,
    /// The steps of this machine's clock before anything was read.
    pub(super) steps: u64,
    pub(super) value: &'r mut Option<SecretValue>,
    pub(super) acceptances: &'r mut Option<Acceptances>,
    pub(super) mint_permit: &'r mut Option<OwnedMutexGuard<RecentMints>>,
    pub(super) publishing_turn: &'r mut Option<PublishingTurn>,
}

/// [`Effects`] of a rotation whose new key exists.
pub(super) struct NewKeyEffects<'r> {
    effects: Effects<'r>,
    successor: &'r Successor,
}

impl<'r> Deref for NewKeyEffects<'r> {
    type Target = Effects<'r>;

    fn deref(&self) -> &Effects<'r> {
        &self.effects
    }
}

impl<'r> DerefMut for NewKeyEffects<'r> {
    fn deref_mut(&mut self) -> &mut Effects<'r> {
        &mut self.effects
    }
}

impl<'r> Effects<'r> {
    pub(super) async fn act(&mut self, effect: Effect) -> EffectResult {
        self.switch_admin_key().await?;
        match effect {
            Effect::Preflight => Box::pin(self.preflight()).await,
            Effect::Mint => Box::pin(self.mint()).await,
            Effect::SettleLostKey => Box::pin(self.settle_lost_key()).await,
            Effect::Stage { destination } => Box::pin(self.new_key()?.stage(destination)).await,
            Effect::Verify => Box::pin(self.new_key()?.verify()).await,
            Effect::Promote { destination } => Box::pin(self.new_key()?.promote(destination)).await,
            Effect::AwaitGates => Box::pin(self.new_key()?.await_gates()).await,
            Effect::DisableOld => Box::pin(self.new_key()?.disable_old()).await,
            Effect::AwaitQuarantine => Box::pin(self.new_key()?.await_quarantine()).await,
            Effect::ExpireOld => Box::pin(self.expire_old()).await,
            Effect::KeepOld => Box::pin(self.keep_old()).await,
            Effect::DeleteOld => Box::pin(self.new_key()?.delete_old()).await,
            Effect::Discard => Box::pin(self.new_key()?.discard()).await,
            Effect::EnableOld => Box::pin(self.new_key()?.enable_old()).await,
            Effect::Restore { destination } => Box::pin(self.new_key()?.restore(destination)).await,
            Effect::AwaitReturn => Box::pin(self.new_key()?.await_return()).await,
            Effect::DeleteNew => Box::pin(self.new_key()?.delete_new()).await,
        }
    }

    /// The journal entry of an event of this rotation.
    pub(super) fn entry(&self, event: Event) -> Result<PendingEntry, ReconcileError> {
        PendingEntry::of(self.rotation, event, self.context.now())
    }

    /// The effects that need the new key.
    ///
    /// # Errors
    /// There is none in this phase.
    pub(super) fn new_key(&mut self) -> Result<NewKeyEffects<'_>, Failure> {
        let none = || Failure::rejected(Kind::Invalid, "the rotation has no new key yet");
        let successor = self.rotation.successor().ok_or_else(none)?;
        let Effects { context, shared, record, rotation, steps, .. } = *self;
        let (value, mint_permit) = (&mut *self.value, &mut *self.mint_permit);
        let acceptances = &mut *self.acceptances;
        let publishing_turn = &mut *self.publishing_turn;
        let effects = Effects {
            context,
            shared,
            record,
            rotation,
            steps,
            value,
            acceptances,
            mint_permit,
            publishing_turn,
        };
        Ok(NewKeyEffects { effects, successor })
    }

    fn plan(&self) -> &'r Plan {
        &self.rotation.plan
    }

    fn policy(&self) -> Option<&'r Credential> {
        self.context.of_rotation(&self.record.credential)
    }

    /// The hold that forbids `what` for this rotation now.
    fn held(&self, what: HoldKind) -> Option<Hold> {
        let (workspace, name) = (Some(&self.plan().workspace), &self.record.credential);
        self.shared.hold_on(what, workspace, name, self.rotation.is_urgent())
    }

    fn workspace_client(&self) -> Result<&'r Arc<WorkspaceClient>, Failure> {
        self.context.workspace_client(&self.plan().workspace)
    }

    /// Whether the rotation's new key has leaked.
    pub(super) fn leaked_new_key(&self) -> bool {
        self.rotation.successor().is_some_and(|new| self.record.leak_of(&new.key).is_some())
    }

    /// A listing made now.
    pub(in crate::engine) async fn listed(&self) -> Result<Arc<Inventory>, Failure> {
        self.workspace_client()?.inventory(self.context.now()).await
    }

    fn old_key<'a>(&self, inventory: &'a Inventory) -> Option<&'a Key> {
        self.plan().old.as_ref().and_then(|old| inventory.key(old))
    }

    /// The token of one staging of the newest mint.
    fn token(&self, restaged: u32) -> VersionId {
        self.plan().rotation.version(self.rotation.attempt, restaged)
    }

    /// Since when a wait counts that began at an instant of the journal.
    fn since(&self, written: Timestamp) -> Timestamp {
        self.shared.waits.since(self.context.clock.as_ref(), &self.record.credential, written)
    }

    /// Since when a promised wait has lasted: by the timer if it began in this process, so that no clock can shorten it.
    fn lasting_since(&self, written: Timestamp) -> Timestamp {
        let clock = self.context.clock.as_ref();
        self.shared.waits.lasting_since(clock, &self.record.credential, written).unwrap_or(written)
    }

    /// Refuses a clock that the provider contradicts, or that was set since the effect began (I8).
    fn check_clock(&self, inventory: &Inventory) -> Result<(), Failure> {
        self.context.check_clock(inventory)?;
        if self.context.clock.steps() == self.steps {
            return Ok(());
        }
        let message = "this machine's clock was set meanwhile; what depends on the time is looked at again";
        Err(Failure::rejected(Kind::ClockSkew, message))
    }

    /// Whether the instant has passed by a clock that the provider agrees with.
    fn has_passed(&self, at: Option<Timestamp>, inventory: &Inventory) -> bool {
        at.is_some_and(|at| at <= self.context.now()) && self.check_clock(inventory).is_ok()
    }

    /// Whether the key can be used.
    fn is_alive(&self, key: &Key, inventory: &Inventory) -> bool {
        key.enabled && !self.has_passed(key.expires_at, inventory)
    }

    /// The next check: `until`, or one recheck interval from now if that is earlier.
    fn soon(&self, until: Timestamp) -> Timestamp {
        until.min(later(self.context.now(), self.context.timing.look_again))
    }
}

impl<'r> NewKeyEffects<'r> {
    fn place(&self, index: usize) -> Result<(&'r Destination, &'r Placement, &'r dyn SecretStore), Failure> {
        let missing = || Failure::rejected(Kind::Invalid, "the plan has no such destination");
        let destination = self.plan().destinations.get(index).ok_or_else(missing)?;
        let placement = self.successor.placements.get(index).ok_or_else(missing)?;
        Ok((destination, placement, self.context.store(&destination.store)?))
    }
}

/// What a destination serves now.
async fn serving(store: &dyn SecretStore, destination: &Destination) -> Result<Served, Failure> {
    Ok(StoredVersion::served(store.read(destination, VersionRef::Current).await?.as_ref()))
}

fn park(reason: ParkReason, detail: impl Into<String>) -> EffectResult {
    Ok(EffectOutcome::Happened(Event::Parked { reason, detail: detail.into() }))
}

/// A listing that does not show yet what was done: it will be listed again.
fn not_listed_yet(key: &KeyId, what: &str) -> Failure {
    Failure::rejected(
        Kind::Conflict,
        format!("the provider's listing does not show yet that key `{key}` is {what}"),
    )
}
