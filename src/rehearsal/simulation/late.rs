//! When rotations come so late that their policy is not kept: one rule, for what is foreseen and for what is rehearsed.

use jiff::{SignedDuration, Timestamp};

use crate::domain::policy::Credential;

/// A freeze is written on purpose, with its end: so much of it is no lateness of the rotation that it holds.
const FROZEN_MAX: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Whether a rotation that was due at `due` comes too late if its key is made at `made`: by then it is due once more, and one rotation
/// there never was. Up to 31 days under freezes do not count.
#[must_use]
pub fn is_late(credential: &Credential, due: Timestamp, made: Timestamp) -> bool {
    let once_more = credential.schedule.next_due(&credential.name, due);
    let under = |from: Timestamp, until: Timestamp| until.min(made).duration_since(from.max(due));
    let freezes = credential.schedule.freezes.iter().map(|freeze| under(freeze.from, freeze.until));
    let frozen =
        freezes.fold(SignedDuration::ZERO, |sum, it| sum.saturating_add(it.max(SignedDuration::ZERO)));
    let counted = made.saturating_sub(frozen.min(FROZEN_MAX)).unwrap_or(Timestamp::MIN);
    once_more <= counted
}

/// What is said of a rotation that is due before the last one is over.
#[must_use]
pub fn overlapping(over: Timestamp) -> String {
    format!(
        "the rotation before it ends at {over} at the earliest: shorten `overlap` or `quarantine`, or rotate less often"
    )
}

/// What is said of one that its own calendar holds up.
#[must_use]
pub fn held_up(begins: Timestamp, why: &str) -> String {
    format!(
        "it cannot begin before {begins}, a whole interval or more after it is due ({why}): open `window` more often, \
         shorten `freeze`, or rotate less often"
    )
}
