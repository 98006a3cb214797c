//! The policy in force and the systems that it names. Replaced as a whole when the policy is reloaded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::domain::acceptance::AcceptanceRule;
use crate::domain::failure::{Failure, Kind};
use crate::domain::ids::{CredentialName, StoreName, WorkspaceName};
use crate::domain::key::Inventory;
use crate::domain::policy::{Credential, Policy};
use crate::domain::time::span;
use crate::engine::workspace_client::WorkspaceClient;
use crate::ports::clock::Clock;
use crate::ports::journal::Journal;
use crate::ports::prober::Prober;
use crate::ports::secret_store::SecretStore;

/// How long things may take, and how far the clocks may differ.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// How long a listing of the provider may lag behind a call. What a listing lacks, or shows unchanged, is not believed
    /// before: a key whose creation got no answer is looked for so long before it counts as never created.
    pub settle: SignedDuration,
    /// How long a new key may stay unknown to the provider before it counts as bad.
    pub activation_deadline: SignedDuration,
    /// How often, and over how long, the provider has to accept a new key before it is published.
    pub acceptances: AcceptanceRule,
    /// More than this between our clock and the provider's holds everything that revokes.
    pub clock_skew_max: SignedDuration,
    /// The longest time between two checks of anything that waits for evidence.
    pub look_again: SignedDuration,
    pub periods: Periods,
}

/// How often the engine does by itself what nobody may be needed for, by a timer that follows no wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Periods {
    /// The longest pause of its loop.
    pub wake: SignedDuration,
    pub sweep: SignedDuration,
    pub inspect: SignedDuration,
}

impl Periods {
    /// Only when somebody asks for it.
    pub const NEVER: Self =
        Self { wake: SignedDuration::MAX, sweep: SignedDuration::MAX, inspect: SignedDuration::MAX };
}

/// The policy in force and the systems that it names.
pub struct Context {
    pub policy: Policy,
    pub workspaces: BTreeMap<WorkspaceName, Arc<WorkspaceClient>>,
    pub stores: BTreeMap<StoreName, Arc<dyn SecretStore>>,
    pub journal: Arc<dyn Journal>,
    pub prober: Arc<dyn Prober>,
    pub clock: Arc<dyn Clock>,
    pub timing: Timing,
    /// Makes rotation ids unique beyond this process; random, and nothing depends on its secrecy.
    pub seed: [u8; 16],
}

impl Context {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn uptime(&self) -> Duration {
        self.clock.uptime()
    }

    pub(super) fn credential(&self, name: &CredentialName) -> Option<&Credential> {
        self.policy.credentials.get(name)
    }

    pub(super) fn workspace_client(&self, name: &WorkspaceName) -> Result<&Arc<WorkspaceClient>, Failure> {
        self.workspaces.get(name).ok_or_else(|| missing("workspace", name.as_str()))
    }

    pub(super) fn store(&self, name: &StoreName) -> Result<&dyn SecretStore, Failure> {
        self.stores.get(name).map(AsRef::as_ref).ok_or_else(|| missing("store", name.as_str()))
    }

    /// Refuses a clock that the provider contradicts (I8).
    pub(super) fn check_clock(&self, inventory: &Inventory) -> Result<(), Failure> {
        let skew = SignedDuration::from_secs(inventory.clock_skew_seconds.unwrap_or(0));
        if skew.unsigned_abs() <= self.timing.clock_skew_max.unsigned_abs() {
            return Ok(());
        }
        Err(Failure::rejected(Kind::ClockSkew, contradicted(skew, self.timing.clock_skew_max)))
    }
}

fn contradicted(skew: SignedDuration, most: SignedDuration) -> String {
    let direction = if skew.is_negative() { "behind" } else { "ahead of" };
    format!(
        "the provider's clock is {} {direction} ours, more than {}: nothing is revoked until they agree; check this machine's time synchronisation",
        span(skew),
        span(most)
    )
}

fn missing(what: &str, name: &str) -> Failure {
    let message = format!(
        "the {what} `{name}` is not in the policy any more; put it back until the rotation has ended"
    );
    Failure::rejected(Kind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_wrong_is_ahead_or_behind_and_never_both() {
        let hours = |count| SignedDuration::from_hours(count);
        for (skew, words) in
            [(2, "clock is 2h ahead of ours, more than 1h:"), (-2, "clock is 2h behind ours, more than 1h:")]
        {
            let text = contradicted(hours(skew), hours(1));
            assert!(text.contains(words) && !text.contains("ago"), "{text}");
        }
    }
}
