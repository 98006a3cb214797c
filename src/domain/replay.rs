//! A credential's record made anew from the events of its rotations, when its own row is damaged.
//!
//! What the record holds beside that is found out again, when it is due and what an inspection finds, or read from the
//! audit log: what an operator accepted.

use jiff::Timestamp;

use crate::domain::event::Event;
use crate::domain::ids::CredentialName;
use crate::domain::phase::Phase;
use crate::domain::record::{Current, Record};
use crate::domain::rotation::{CorruptHistory, Rotation};

/// What one rotation's events add up to, and when the last of them happened.
#[derive(Debug)]
pub struct ReplayedRotation {
    pub rotation: Rotation,
    pub at: Timestamp,
}

impl ReplayedRotation {
    /// # Errors
    /// As [`Rotation::fold`].
    pub fn new(events: Vec<(Timestamp, Event)>) -> Result<Self, CorruptHistory> {
        let at = events.last().map_or(Timestamp::UNIX_EPOCH, |(at, _)| *at);
        Ok(Self { rotation: Rotation::fold(events)?, at })
    }

    /// Whether nothing of what was before it matters any more.
    #[must_use]
    pub fn settles_everything(&self) -> bool {
        matches!(self.rotation.phase, Phase::Done(_))
    }
}

/// The record after these rotations, the oldest first: all of them, or from one on that settles everything. Its
/// revision is the caller's to set.
#[must_use]
pub fn record(name: &CredentialName, rotations: &[ReplayedRotation]) -> Record {
    let mut record = Record::new(name.clone());
    for ReplayedRotation { rotation, at } in rotations {
        let known = record.current.as_ref().map(|current| &current.key);
        if let Some(old) = rotation.plan.old.as_ref().filter(|old| known != Some(old)) {
            // As when it was adopted: only that it is the credential's key is known of it.
            record.current = Some(Current {
                key: old.clone(),
                fingerprint: None,
                since: rotation.plan.begun_at,
                expires_at: None,
                usage_hash: None,
                attributes: None,
            });
        }
        record = record.follow(rotation, *at);
    }
    record
}
