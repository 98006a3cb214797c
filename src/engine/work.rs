//! What a credential's reconciler works on: nothing, or a rotation. Only a rotation has effects.

use tokio::sync::OwnedMutexGuard;

use crate::domain::rotation::Rotation;
use crate::domain::secret::SecretValue;
use crate::engine::workspace_client::RecentMints;

#[derive(Default)]
pub(super) enum Work {
    /// Between rotations.
    #[default]
    Idle,
    Rotating(Box<ActiveRotation>),
}

/// A rotation under way, with what only memory has of it.
pub(super) struct ActiveRotation {
    pub(super) rotation: Rotation,
    /// The new key's value, from its creation until the rotation is over. The only place where it is kept.
    pub(super) value: Option<SecretValue>,
    /// Held from the mint budget's count until the intent is journalled.
    pub(super) mint_permit: Option<OwnedMutexGuard<RecentMints>>,
}

impl Work {
    pub(super) fn new(rotation: Option<Rotation>, value: Option<SecretValue>) -> Self {
        match rotation {
            Some(rotation) => Self::Rotating(Box::new(ActiveRotation { rotation, value, mint_permit: None })),
            None => Self::Idle,
        }
    }

    pub(super) fn rotation(&self) -> Option<&Rotation> {
        match self {
            Self::Idle => None,
            Self::Rotating(active) => Some(&active.rotation),
        }
    }

    pub(super) fn mint_permit(&mut self) -> Option<&mut RecentMints> {
        match self {
            Self::Idle => None,
            Self::Rotating(active) => active.mint_permit.as_deref_mut(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    pub(super) fn into_parts(self) -> (Option<Rotation>, Option<SecretValue>) {
        match self {
            Self::Idle => (None, None),
            Self::Rotating(active) => (Some(active.rotation), active.value),
        }
    }

    /// Replaces the rotation by what the journal has. The new key's value stays if a rotation does.
    pub(super) fn replace(&mut self, rotation: Option<Rotation>) {
        let (_, value) = std::mem::take(self).into_parts();
        *self = Self::new(rotation, value);
    }
}
