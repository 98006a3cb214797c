//! The next effect of a rotation, which follows from its state alone: the same live and after a crash.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::event::Event;
use crate::domain::phase::Phase;
use crate::domain::rotation::Rotation;

/// One call, or group of calls, to the provider or a store. Each can be repeated safely, by the token or the check that
/// its doc names, except [`Effect::Mint`]: that runs once, right after its intent was journalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Read everything that the rotation depends on. Changes nothing.
    Preflight,
    /// Create the key that the journalled intent describes. Never repeated: see [`on_resume`].
    Mint,
    /// Find the key that may have been created, by its nonce, and delete it. Repeatable: the nonce identifies it.
    SettleLostKey,
    /// Write the value as pending version of one destination. Repeatable: the version is the idempotency token.
    Stage { destination: usize },
    /// List the new key and compare it with the old; authenticate with it. Changes nothing.
    Verify,
    /// Make the pending version current, if what it was made to replace still is. Repeatable: one compare-and-move.
    Promote { destination: usize },
    /// Gather evidence and judge the gates. Changes nothing.
    AwaitGates,
    /// Check everything once more, then disable the old key. Repeatable: a fixed state.
    DisableOld,
    /// Wait, then check that the old key is still disabled. Changes nothing.
    AwaitQuarantine,
    /// Set the old key's expiry at the provider, in case the daemon dies. Repeatable: a fixed state.
    ExpireOld,
    /// While a rotation is parked: move the old key's expiry before it comes. Repeatable: a fixed state.
    KeepOld,
    /// Check everything once more, then delete the old key and check that it is gone. Repeatable: gone is gone.
    DeleteOld,
    /// Delete the new key and remove its pending versions. Repeatable: gone is gone.
    Discard,
    /// Repeatable: a fixed state.
    EnableOld,
    /// Make what was current before current again. Repeatable: one compare-and-move.
    Restore { destination: usize },
    /// Changes nothing.
    AwaitReturn,
    /// Check that no destination serves the new key, then delete it. Repeatable: gone is gone.
    DeleteNew,
}

/// An effect's name: in the journal, logs and metric labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffectName {
    Preflight,
    Mint,
    SettleLostKey,
    Stage,
    Verify,
    Promote,
    AwaitGates,
    DisableOld,
    AwaitQuarantine,
    ExpireOld,
    KeepOld,
    DeleteOld,
    Discard,
    EnableOld,
    Restore,
    AwaitReturn,
    DeleteNew,
}

impl EffectName {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Mint => "mint",
            Self::SettleLostKey => "settle_lost_key",
            Self::Stage => "stage",
            Self::Verify => "verify",
            Self::Promote => "promote",
            Self::AwaitGates => "await_gates",
            Self::DisableOld => "disable_old",
            Self::AwaitQuarantine => "await_quarantine",
            Self::ExpireOld => "expire_old",
            Self::KeepOld => "keep_old",
            Self::DeleteOld => "delete_old",
            Self::Discard => "discard",
            Self::EnableOld => "enable_old",
            Self::Restore => "restore",
            Self::AwaitReturn => "await_return",
            Self::DeleteNew => "delete_new",
        }
    }
}

impl Effect {
    #[must_use]
    pub fn name(self) -> EffectName {
        match self {
            Self::Preflight => EffectName::Preflight,
            Self::Mint => EffectName::Mint,
            Self::SettleLostKey => EffectName::SettleLostKey,
            Self::Stage { .. } => EffectName::Stage,
            Self::Verify => EffectName::Verify,
            Self::Promote { .. } => EffectName::Promote,
            Self::AwaitGates => EffectName::AwaitGates,
            Self::DisableOld => EffectName::DisableOld,
            Self::AwaitQuarantine => EffectName::AwaitQuarantine,
            Self::ExpireOld => EffectName::ExpireOld,
            Self::KeepOld => EffectName::KeepOld,
            Self::DeleteOld => EffectName::DeleteOld,
            Self::Discard => EffectName::Discard,
            Self::EnableOld => EffectName::EnableOld,
            Self::Restore { .. } => EffectName::Restore,
            Self::AwaitReturn => EffectName::AwaitReturn,
            Self::DeleteNew => EffectName::DeleteNew,
        }
    }

    /// Whether a freeze and an untrusted clock block it: it disables or deletes a key by schedule.
    #[must_use]
    pub fn revokes(self) -> bool {
        matches!(self, Self::DisableOld | Self::DeleteOld | Self::DeleteNew)
    }
}

/// Whether the effect puts a key back into service, or stands between a leaked key and its end: the silence that the
/// provider asked for holds only other calls back.
#[must_use]
pub fn is_of_safety(effect: Effect, rotation: &Rotation, new_key_leaked: bool) -> bool {
    match effect {
        Effect::EnableOld => true,
        Effect::Discard => new_key_leaked || rotation.is_urgent(),
        Effect::Preflight
        | Effect::Mint
        | Effect::SettleLostKey
        | Effect::Verify
        | Effect::AwaitGates
        | Effect::DisableOld
        | Effect::AwaitReturn
        | Effect::DeleteNew => rotation.is_urgent(),
        // Calls of stores, and what may wait: the old key is disabled already, or is left as it is.
        Effect::Stage { .. }
        | Effect::Promote { .. }
        | Effect::Restore { .. }
        | Effect::AwaitQuarantine
        | Effect::ExpireOld
        | Effect::KeepOld
        | Effect::DeleteOld => false,
    }
}

/// What to do next, or nothing: the rotation is over, or waits for an operator.
#[must_use]
pub fn pending(rotation: &Rotation) -> Option<Effect> {
    let sets_expiry = !rotation.plan.emergency && rotation.dead_man.is_some_and(|it| it.is_intended());
    let is_parked = matches!(rotation.phase, Phase::Parked { .. });
    match rotation.phase.effect() {
        Some(Effect::AwaitGates | Effect::AwaitQuarantine) if sets_expiry => Some(Effect::ExpireOld),
        None if is_parked && rotation.keeps_the_old_key_alive() => Some(Effect::KeepOld),
        effect => effect,
    }
}

/// The event to journal before resuming a rotation of an earlier process: an intended key may have been created.
#[must_use]
pub fn on_resume(rotation: &Rotation) -> Option<Event> {
    let cause = || "interrupted between the intent and its outcome".to_owned();
    (pending(rotation) == Some(Effect::Mint)).then(|| Event::MintOutcomeUnknown { cause: cause() })
}
