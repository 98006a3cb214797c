//! One file per group of effects: what each does outside, and which event that amounts to.
//!
//! Every function here may be cancelled or repeated at any point; what makes that safe is said at
//! [`crate::domain::effect::Effect`].

use std::sync::Arc;

use jiff::Timestamp;

use crate::domain::effect::Effect;
use crate::domain::event::Event;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::{KeyId, VersionId};
use crate::domain::key::{Inventory, Key};
use crate::domain::plan::{Destination, Plan};
use crate::domain::rotation::{ParkReason, Rotation};
use crate::domain::successor::{Placement, Served, Successor};
use crate::domain::time::later;
use crate::engine::reconciler::Reconciler;
use crate::engine::workspace_client::WorkspaceClient;
use crate::ports::secret_store::{SecretStore, StoredVersion, VersionRef};

mod admin;
mod evidence;
mod expire;
mod gates;
mod minting;
mod precheck;
mod preflight;
mod promote;
mod revoke;
mod stage;
mod undo;
mod verify;

/// What an effect amounts to when it has not failed.
pub(super) enum Outcome {
    Happened(Event),
    /// Nothing yet: look again then, or when something happens.
    Wait(Timestamp),
}

type Acted = Result<Outcome, Failure>;

impl Reconciler {
    pub(super) async fn act(&mut self, effect: Effect) -> Acted {
        self.settle_admin_key().await?;
        match effect {
            Effect::Preflight => Box::pin(self.preflight()).await,
            Effect::Mint => Box::pin(self.mint()).await,
            Effect::SettleLostKey => Box::pin(self.settle_lost_key()).await,
            Effect::Stage { destination } => Box::pin(self.stage(destination)).await,
            Effect::Verify => Box::pin(self.verify()).await,
            Effect::Promote { destination } => Box::pin(self.promote(destination)).await,
            Effect::AwaitGates => Box::pin(self.await_gates()).await,
            Effect::DisableOld => Box::pin(self.disable_old()).await,
            Effect::AwaitQuarantine => Box::pin(self.await_quarantine()).await,
            Effect::ExpireOld => Box::pin(self.expire_old()).await,
            Effect::KeepOld => Box::pin(self.keep_old()).await,
            Effect::DeleteOld => Box::pin(self.delete_old()).await,
            Effect::Discard => Box::pin(self.discard()).await,
            Effect::EnableOld => Box::pin(self.enable_old()).await,
            Effect::Restore { destination } => Box::pin(self.restore(destination)).await,
            Effect::AwaitReturn => Box::pin(self.await_return()).await,
            Effect::DeleteNew => Box::pin(self.delete_new()).await,
        }
    }

    fn rotating(&self) -> Result<&Rotation, Failure> {
        self.rotation.as_ref().ok_or_else(|| Failure::rejected(Kind::Invalid, "no rotation is under way"))
    }

    fn plan(&self) -> Result<&Plan, Failure> {
        Ok(&self.rotating()?.plan)
    }

    fn successor(&self) -> Result<&Successor, Failure> {
        self.rotating()?
            .successor()
            .ok_or_else(|| Failure::rejected(Kind::Invalid, "the rotation has no new key yet"))
    }

    fn place(&self, index: usize) -> Result<(&Destination, &Placement, &dyn SecretStore), Failure> {
        let missing = || Failure::rejected(Kind::Invalid, "the plan has no such destination");
        let destination = self.plan()?.destinations.get(index).ok_or_else(missing)?;
        let placement = self.successor()?.placements.get(index).ok_or_else(missing)?;
        Ok((destination, placement, self.context.store(&destination.store)?))
    }

    fn workspace_client(&self) -> Result<Arc<WorkspaceClient>, Failure> {
        Ok(Arc::clone(self.context.workspace_client(&self.plan()?.workspace)?))
    }

    /// A listing made now.
    async fn listed(&self) -> Result<Arc<Inventory>, Failure> {
        self.workspace_client()?.inventory(self.context.now()).await
    }

    fn old_key<'a>(&self, inventory: &'a Inventory) -> Result<Option<&'a Key>, Failure> {
        Ok(self.plan()?.old.as_ref().and_then(|old| inventory.key(old)))
    }

    /// The token of one staging of the newest mint.
    fn token(&self, restaged: u32) -> Result<VersionId, Failure> {
        let rotation = self.rotating()?;
        Ok(rotation.plan.rotation.version(rotation.attempt, restaged))
    }

    /// When something that is waited for is looked at again, at the latest.
    fn soon(&self, until: Timestamp) -> Timestamp {
        until.min(later(self.context.now(), self.context.timing.look_again))
    }
}

/// What a destination serves now.
async fn serving(store: &dyn SecretStore, destination: &Destination) -> Result<Served, Failure> {
    Ok(StoredVersion::served(store.read(destination, VersionRef::Current).await?.as_ref()))
}

fn park(reason: ParkReason, detail: impl Into<String>) -> Acted {
    Ok(Outcome::Happened(Event::Parked { reason, detail: detail.into() }))
}

/// A listing that does not show yet what was done: certain to be asked again.
fn not_listed_yet(key: &KeyId, what: &str) -> Failure {
    Failure::rejected(
        Kind::Conflict,
        format!("the provider's listing does not show yet that key `{key}` is {what}"),
    )
}
