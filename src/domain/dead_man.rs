//! The dead man's switch: an expiry of the old key at the provider, in case this daemon dies before it deletes the key.
//!
//! The expiry lies after the planned deletion of the old key, and is moved on as long as the deletion is delayed. It must
//! never pass while the daemon runs and the old key may be in use.

use jiff::{SignedDuration, Timestamp};

use crate::domain::event::Event;
use crate::domain::rotation::Rotation;
use crate::domain::time::later;

/// The provider wants an expiry at least 15 minutes and at most 90 days ahead; clocks differ.
pub const AHEAD_MIN: SignedDuration = SignedDuration::from_mins(20);
pub const AHEAD_MAX: SignedDuration = SignedDuration::from_hours(89 * 24);

/// The old key's expiry, as set by this rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadMan {
    pub at: Timestamp,
    /// Its expiry before the rotation, which a rollback restores.
    pub original: Option<Timestamp>,
    pub standing: ExpiryState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiryState {
    /// In the journal, and maybe already at the provider.
    Intended,
    InForce,
    /// The expiry is not changed: the workspace cannot set it, or it is early enough.
    Left,
    /// The key was enabled again with its original expiry. A late listing may still show ours.
    Restored,
}

impl DeadMan {
    #[must_use]
    pub fn is_intended(self) -> bool {
        self.standing == ExpiryState::Intended
    }

    #[must_use]
    pub fn is_left(self) -> bool {
        self.standing == ExpiryState::Left
    }

    #[must_use]
    pub fn is_in_force(self) -> bool {
        self.standing == ExpiryState::InForce
    }

    /// The key's own expiry, as a listing shows it that may be older than its restoration.
    #[must_use]
    pub fn original_of(before: Option<Self>, listed: Option<Timestamp>) -> Option<Timestamp> {
        let restored = before.filter(|it| it.standing == ExpiryState::Restored && listed == Some(it.at));
        restored.map_or(listed, |restored| restored.original)
    }
}

/// The expiry after `event`.
#[must_use]
pub fn after(before: Option<DeadMan>, event: &Event) -> Option<DeadMan> {
    if let Event::ExpiryIntended { at, original } = event {
        return Some(DeadMan { at: *at, original: *original, standing: ExpiryState::Intended });
    }
    if let Event::ExpirySettled { at, in_force } = event {
        let standing = if *in_force { ExpiryState::InForce } else { ExpiryState::Left };
        return Some(DeadMan { at: *at, original: before.and_then(|before| before.original), standing });
    }
    if *event == Event::OldKeyEnabled {
        // It was restored with the key; a new overlap plans it anew.
        let restored = before.filter(|before| !before.is_left());
        return restored.map(|restored| DeadMan { standing: ExpiryState::Restored, ..restored });
    }
    before
}

/// When the old key should expire, as seen at `now`: `margin` after the earliest moment at which it could be deleted.
#[must_use]
pub fn wanted(rotation: &Rotation, margin: SignedDuration, now: Timestamp) -> Timestamp {
    let terms = &rotation.plan.terms;
    let released = later(rotation.overlap_since(), terms.at_least).max(now);
    let ahead = released.duration_since(now).saturating_add(terms.quarantine).saturating_add(margin);
    // The provider counts in whole seconds.
    let at = later(now, ahead.clamp(AHEAD_MIN, AHEAD_MAX));
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// The expiry that the old key should be given now, or `None` if what it has is far enough ahead: it is moved when half
/// of the margin is gone.
#[must_use]
pub fn renewal(rotation: &Rotation, now: Timestamp) -> Option<Timestamp> {
    let margin = rotation.plan.expire_old_key?;
    let wanted = wanted(rotation, margin, now);
    match rotation.dead_man {
        None | Some(DeadMan { standing: ExpiryState::Restored, .. }) => Some(wanted),
        Some(DeadMan { at, standing: ExpiryState::InForce, .. }) => {
            let lag = wanted.duration_since(at);
            (lag > margin / 2).then_some(wanted)
        }
        Some(DeadMan { standing: ExpiryState::Intended | ExpiryState::Left, .. }) => None,
    }
}

/// When [`renewal`] next returns an expiry; `None` if never.
#[must_use]
pub fn next_renewal(rotation: &Rotation) -> Option<Timestamp> {
    let margin = rotation.plan.expire_old_key?;
    let dead_man = rotation.dead_man.filter(|dead_man| dead_man.is_in_force())?;
    let ahead =
        rotation.plan.terms.quarantine.saturating_add(margin - margin / 2).min(AHEAD_MAX - margin / 2);
    Some(dead_man.at.saturating_sub(ahead).unwrap_or(Timestamp::MIN))
}
