//! The call that enables a key again, or replaces a leaked one, if it was not done at once.

use jiff::Timestamp;

use crate::domain::effect::{self, Effect, EffectName};
use crate::domain::failure::Kind;
use crate::domain::rotation::Rotation;

/// The call, and since when it waits.
pub(super) fn waiting(rotation: &Rotation) -> Option<(EffectName, Timestamp)> {
    let effect = effect::pending(rotation).filter(|it| effect::is_of_safety(*it, rotation, false))?;
    let failure = rotation.last_failure.as_ref().filter(|failure| failure.effect == effect.name());
    // That a key is not active yet, or not listed yet, is no call that waits.
    let failure = failure.filter(|it| !matches!(it.last.kind, Kind::NotActiveYet | Kind::Conflict));
    let entered = (effect == Effect::EnableOld).then_some(rotation.since);
    Some((effect.name(), failure.map(|failure| failure.first_at).or(entered)?))
}
