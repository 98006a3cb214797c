//! What the credentials of one workspace share: places for rotations, the line before them, and the budget of mints.

use std::collections::{BTreeSet, VecDeque};

use jiff::{SignedDuration, Timestamp};

use crate::domain::ids::CredentialName;
use crate::domain::policy::WorkspaceLimits;
use crate::domain::time::later;

/// What the budget is counted over, and a moment more.
const PERIOD: SignedDuration = SignedDuration::from_secs(3601);

pub(super) struct Desk<'p> {
    places: usize,
    mints_max: usize,
    pub(super) under_way: usize,
    /// The earliest due is the first in line.
    line: BTreeSet<(Timestamp, &'p CredentialName)>,
    /// The newest mints, as many as there may be in a period.
    mints: VecDeque<Timestamp>,
}

impl<'p> Desk<'p> {
    pub(super) fn new(limits: WorkspaceLimits) -> Self {
        Self {
            places: limits.overlaps_at_once.max(1),
            mints_max: usize::try_from(limits.mints_per_hour.max(1)).unwrap_or(usize::MAX),
            under_way: 0,
            line: BTreeSet::new(),
            mints: VecDeque::new(),
        }
    }

    /// Whether it is the turn of one that is due since then; otherwise it stands in line.
    pub(super) fn has_place(&mut self, due: Timestamp, name: &'p CredentialName) -> bool {
        let free = self.places.saturating_sub(self.under_way);
        let before = self.line.iter().find(|(_, other)| *other == name).map(|(due, _)| *due);
        let due = before.map_or(due, |before| before.min(due));
        self.leave(name);
        self.line.insert((due, name));
        let ahead = self.line.range(..(due, name)).take(free).count();
        ahead < free
    }

    /// Says whether it stood in line.
    pub(super) fn leave(&mut self, name: &CredentialName) -> bool {
        let before = self.line.len();
        self.line.retain(|(_, other)| *other != name);
        before != self.line.len()
    }

    /// The first in line, if there is a place.
    pub(super) fn called(&self) -> Option<(Timestamp, &'p CredentialName)> {
        (self.under_way < self.places).then(|| self.line.first().copied()).flatten()
    }

    /// When a rotation that begins now may create its key.
    pub(super) fn mint(&mut self, now: Timestamp) -> Timestamp {
        let in_the_way = self.mints.len().checked_sub(self.mints_max).and_then(|at| self.mints.get(at));
        let at = in_the_way.map_or(now, |mint| later(*mint, PERIOD).max(now));
        self.mints.push_back(at);
        if self.mints.len() > self.mints_max {
            self.mints.pop_front();
        }
        at
    }
}
