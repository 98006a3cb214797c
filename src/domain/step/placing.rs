//! The transitions of the new key's placement in one destination.

use crate::domain::ids::VersionId;
use crate::domain::phase::Phase;
use crate::domain::rotation::Rotation;
use crate::domain::step::{Because, Next};
use crate::domain::successor::{Placement, PlacementState, Served, Successor};

/// The successor with one placement changed by `change`, which refuses what does not fit its progress.
pub(super) fn placed(
    successor: &Successor,
    destination: usize,
    change: impl FnOnce(&Placement) -> Option<Placement>,
) -> Result<Successor, Because> {
    let mut successor = successor.clone();
    let placement = successor.placements.get_mut(destination).ok_or(Some("there is no such destination"))?;
    *placement = change(placement).ok_or(Some("the destination is not at that point"))?;
    Ok(successor)
}

pub(super) fn staged(
    successor: &Successor,
    destination: usize,
    version: &VersionId,
    over: Option<&VersionId>,
    before: Option<&Served>,
) -> Next {
    let successor = placed(successor, destination, |placement| match placement.progress {
        PlacementState::Absent => {
            let progress = PlacementState::Staged { version: version.clone(), over: over.cloned() };
            let before = before.unwrap_or(&placement.before).clone();
            Some(Placement { before, progress, ..placement.clone() })
        }
        PlacementState::Staged { .. } | PlacementState::Current { .. } | PlacementState::Restored { .. } => {
            None
        }
    })?;
    let all = successor.placements.iter().all(|placement| placement.progress != PlacementState::Absent);
    Ok(if all { Phase::Verifying(successor) } else { Phase::Staging(successor) })
}

pub(super) fn promoted(
    rotation: &Rotation,
    successor: &Successor,
    destination: usize,
    displaced: Option<&VersionId>,
) -> Next {
    let successor = placed(successor, destination, |placement| match &placement.progress {
        PlacementState::Staged { version, .. } => {
            let progress =
                PlacementState::Current { version: version.clone(), displaced: displaced.cloned() };
            Some(Placement { progress, ..placement.clone() })
        }
        PlacementState::Absent | PlacementState::Current { .. } | PlacementState::Restored { .. } => None,
    })?;
    let all = successor
        .placements
        .iter()
        .all(|placement| matches!(placement.progress, PlacementState::Current { .. }));
    Ok(match (all, &rotation.plan.old) {
        (false, _) => Phase::Promoting(successor),
        (true, Some(_)) => Phase::Overlap(successor),
        (true, None) => Phase::Done(successor),
    })
}

pub(super) fn changed(successor: &Successor, destination: usize) -> Next {
    let successor = placed(successor, destination, |placement| match placement.progress {
        PlacementState::Absent | PlacementState::Staged { .. } => Some(Placement {
            restaged: placement.restaged + 1,
            progress: PlacementState::Absent,
            ..placement.clone()
        }),
        PlacementState::Current { .. } | PlacementState::Restored { .. } => None,
    })?;
    Ok(Phase::Staging(successor))
}

pub(super) fn restored(
    phase: &Phase,
    successor: &Successor,
    destination: usize,
    version: &VersionId,
) -> Next {
    let Phase::RollingBack { cause, old_enabled: true, overwrite, .. } = *phase else { return Err(None) };
    let successor = placed(successor, destination, |placement| match placement.progress {
        PlacementState::Restored { .. } => None,
        PlacementState::Absent | PlacementState::Staged { .. } | PlacementState::Current { .. } => {
            let progress = PlacementState::Restored { version: version.clone() };
            Some(Placement { progress, ..placement.clone() })
        }
    })?;
    let all = successor
        .placements
        .iter()
        .all(|placement| matches!(placement.progress, PlacementState::Restored { .. }));
    Ok(if all {
        Phase::Returning { successor, cause }
    } else {
        Phase::RollingBack { successor, cause, old_enabled: true, overwrite }
    })
}
