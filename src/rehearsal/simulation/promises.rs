//! Whether rotations come as often as the policy says: the forecast's rules, held against what was played.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::event::Event;
use crate::domain::forecast::late::{held_up, is_late, overlapping};
use crate::domain::forecast::quotas::{Quotas, VersionQuota};
use crate::domain::ids::{CredentialName, KeyId, StoreName};
use crate::domain::phase::Phase;
use crate::domain::policy::{Credential, Policy};
use crate::domain::rotation::Rotation;
use crate::domain::schedule::StartDecision;
use crate::rehearsal::simulation::score::Trouble;

struct Course<'a> {
    credential: &'a Credential,
    /// When the next rotation is due, as far as keys that are in service say.
    due: Timestamp,
    /// When the last one was over.
    over: Timestamp,
    is_open: bool,
    /// The key that the rotation under way has made, and when that is to be replaced.
    made: Option<(KeyId, Timestamp)>,
}

pub(super) struct Promises<'a> {
    courses: BTreeMap<CredentialName, Course<'a>>,
    quotas: Quotas<'a>,
    /// Of each credential every kind of trouble is told once.
    told: BTreeSet<(CredentialName, &'static str)>,
    troubles: Vec<Trouble>,
}

impl<'a> Promises<'a> {
    /// From the first day on, when everybody is to be taken over.
    pub(super) fn new(
        policy: &'a Policy,
        quotas: &'a BTreeMap<StoreName, VersionQuota>,
        from: Timestamp,
    ) -> Self {
        let course = |credential| Course { credential, due: from, over: from, is_open: false, made: None };
        let courses = policy.credentials.iter().map(|(name, credential)| (name.clone(), course(credential)));
        Self {
            courses: courses.collect(),
            quotas: Quotas::new(quotas),
            told: BTreeSet::new(),
            troubles: Vec::new(),
        }
    }

    /// One more event: `rotation` is what it led to.
    pub(super) fn follow(&mut self, rotation: &Rotation, event: &Event, at: Timestamp) {
        let name = &rotation.plan.credential;
        let Some(course) = self.courses.get_mut(name) else { return };
        let credential = course.credential;
        let next_after = |since| credential.schedule.next_due(name, since);
        if matches!(event, Event::Begun(_)) {
            let (due, over) = (course.due, course.over);
            (course.is_open, course.made) = (true, None);
            for broken in self.quotas.count(credential, at) {
                self.troubles.push(Trouble { credential: broken.credential, at, why: broken.why });
            }
            if over > due {
                self.tell(name, "overlap", due, overlapping(over));
            }
            return;
        }
        if let Some(successor) = rotation.successor()
            && course.made.as_ref().is_none_or(|(key, _)| *key != successor.key)
        {
            let created_at = successor.facts.as_ref().and_then(|facts| facts.created_at).unwrap_or(at);
            course.made = Some((successor.key.clone(), next_after(created_at)));
            let wanted = course.due.max(course.over);
            if is_late(credential, wanted, created_at) {
                self.tell(name, "late", wanted, held_up(created_at, "it waited until then"));
            }
        }
        let Some(course) = self.courses.get_mut(name) else { return };
        if !rotation.is_over() {
            return;
        }
        course.is_open = false;
        // What came to nothing is still due.
        let made = course.made.take();
        if let (Phase::Done(_), Some((_, next))) = (&rotation.phase, made) {
            (course.due, course.over) = (next, at);
        } else if matches!(rotation.phase, Phase::RolledBack { .. }) {
            (course.due, course.over) = (next_after(at), at);
        }
    }

    /// What is overdue at `now`.
    pub(super) fn judge(&mut self, now: Timestamp) {
        let overdue = |course: &Course<'_>| match &course.made {
            Some((_, next)) => (*next < now).then(|| ("overlap", *next, overlapping(now))),
            None => {
                let late = is_late(course.credential, course.due.max(course.over), now);
                late.then(|| ("late", course.due, held_up(now, "it waits until then at least")))
            }
        };
        self.tell_all(overdue);
    }

    /// What cannot come in time any more, where the season ends before that shows.
    pub(super) fn close(&mut self, now: Timestamp) {
        let held = |course: &Course<'_>| {
            if course.is_open || course.due > now {
                return None;
            }
            match course.credential.schedule.admits(now) {
                StartDecision::Closed { until, why } => {
                    let late = is_late(course.credential, course.due.max(course.over), until);
                    late.then(|| ("late", course.due, held_up(until, &why)))
                }
                StartDecision::Open => None,
            }
        };
        self.tell_all(held);
    }

    /// What was found since this was last asked.
    pub(super) fn take(&mut self) -> Vec<Trouble> {
        std::mem::take(&mut self.troubles)
    }

    fn tell_all(&mut self, find: impl Fn(&Course<'_>) -> Option<(&'static str, Timestamp, String)>) {
        let found = self.courses.iter().filter_map(|(name, course)| Some((name.clone(), find(course)?)));
        let found: Vec<_> = found.collect();
        for (name, (kind, at, why)) in found {
            self.tell(&name, kind, at, why);
        }
    }

    fn tell(&mut self, name: &CredentialName, kind: &'static str, at: Timestamp, why: String) {
        if self.told.insert((name.clone(), kind)) {
            self.troubles.push(Trouble { credential: name.clone(), at, why });
        }
    }
}
