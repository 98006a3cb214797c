//! The imagined world in which the real engine runs: calls have their effect in memory, and time passes at once.
//!
//! [`clock`], [`workspace`] and [`store`] are the outside; [`hooks`] stand around each call: a rehearsal logs it, a test
//! makes it fail. [`snapshot`] puts a journal's credentials into the world, [`consumers`] follow what is published.
//! [`dry_run`] plays one rotation and lists its steps, which is `rekeyd plan`; [`simulation`] plays a whole policy over
//! many days, which is `rekeyd rehearse` and `rekeyd forecast`.

pub mod call_log;
pub mod clock;
mod consumers;
mod crash_point;
pub mod dry_run;
pub mod hooks;
pub mod simulation;
mod snapshot;
pub mod store;
pub mod workspace;

use std::collections::BTreeMap;

use crate::domain::gate::confirm::ConfirmWhen;
use crate::domain::ids::StoreName;
use crate::domain::policy::Credential;
use crate::ports::store_kind::StoreKind;

/// A rehearsal has no operator: whatever has to be confirmed is taken to be.
fn confirmed_at_once(mut credential: Credential) -> Credential {
    credential.terms.confirm = ConfirmWhen::Never;
    credential
}

/// The policy's stores, by their names.
pub type Stores = BTreeMap<StoreName, &'static StoreKind>;
