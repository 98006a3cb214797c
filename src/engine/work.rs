//! What a credential's reconciler works on: nothing, or a rotation. Only a rotation has effects.

use tokio::sync::OwnedMutexGuard;

use crate::domain::acceptance::Acceptances;
use crate::domain::phase::Phase;
use crate::domain::rotation::Rotation;
use crate::domain::secret::SecretValue;
use crate::engine::publishing_turns::PublishingTurn;
use crate::engine::workspace_client::RecentMints;

#[derive(Default)]
pub(super) enum Work {
    /// Between rotations.
    #[default]
    Idle,
    Rotating(Box<ActiveRotation>),
}

/// What the journal does not have of a rotation: lost with the process.
#[derive(Default)]
pub(super) struct Memory {
    /// The new key's value, from its creation until the rotation is over. The only place where it is kept.
    pub(super) value: Option<SecretValue>,
    /// How often the provider has accepted the new key while it is verified.
    pub(super) acceptances: Option<Acceptances>,
}

/// A rotation under way, with what only memory has of it.
pub(super) struct ActiveRotation {
    pub(super) rotation: Rotation,
    pub(super) memory: Memory,
    /// Held from the mint budget's count until the intent is journalled.
    pub(super) mint_permit: Option<OwnedMutexGuard<RecentMints>>,
    /// Held from the preflight until the last promotion, unless the reconciliation ends before.
    pub(super) publishing_turn: Option<PublishingTurn>,
}

impl Work {
    pub(super) fn new(rotation: Option<Rotation>, memory: Memory) -> Self {
        match rotation {
            Some(rotation) => Self::Rotating(Box::new(ActiveRotation {
                rotation,
                memory,
                mint_permit: None,
                publishing_turn: None,
            })),
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

    pub(super) fn into_parts(self) -> (Option<Rotation>, Memory) {
        match self {
            Self::Idle => (None, Memory::default()),
            Self::Rotating(active) => (Some(active.rotation), active.memory),
        }
    }

    /// Replaces the rotation by what the journal has. What only memory has of it stays if a rotation does, and its turn
    /// while it publishes.
    pub(super) fn replace(&mut self, rotation: Option<Rotation>) {
        let (memory, turn) = match std::mem::take(self) {
            Self::Idle => (Memory::default(), None),
            Self::Rotating(active) => (active.memory, active.publishing_turn),
        };
        *self = Self::new(rotation, memory);
        match self {
            Self::Rotating(active) if publishes(&active.rotation.phase) => active.publishing_turn = turn,
            Self::Idle | Self::Rotating(_) => drop(turn.map(PublishingTurn::end)),
        }
    }
}

/// Whether the phase leads to a promotion, or makes one.
fn publishes(phase: &Phase) -> bool {
    matches!(
        phase,
        Phase::Due { .. }
            | Phase::Minting { .. }
            | Phase::Staging(_)
            | Phase::Verifying(_)
            | Phase::Promoting(_)
            | Phase::RollingBack { .. }
    )
}
