//! All credentials together, moment by moment: who has to wait for whom.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::domain::forecast::late::{held_up, is_late, overlapping};
use crate::domain::forecast::next::{Next, next, thawed};
use crate::domain::forecast::quotas::Quotas;
use crate::domain::forecast::{Broken, Forecast, Foreseen, Reach, Start, UnderWay};
use crate::domain::ids::{CredentialName, RotationId, WorkspaceName};
use crate::domain::phase::PhaseName;
use crate::domain::plan::Reason;
use crate::domain::policy::{Credential, Policy, WorkspaceLimits};
use crate::domain::record::{LastRotation, Record};
use crate::domain::time::later;
use crate::domain::waves;

use desk::Desk;

mod desk;

/// What comes next to somebody. What ends at a moment ends before anything begins then.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Ends,
    Looks,
}

struct Course<'p> {
    credential: &'p Credential,
    record: Record,
    under_way: Option<UnderWay>,
    /// What it has been seen to wait for since it was due.
    held_by: Option<String>,
    /// Whether others hold it, and not its own window.
    by_others: bool,
    /// When the rotation before this one was over.
    over: Option<Timestamp>,
    begun: usize,
}

struct Fleet<'p> {
    reach: Reach,
    quotas: Quotas<'p>,
    courses: BTreeMap<&'p CredentialName, Course<'p>>,
    /// Who comes after whom.
    followers: BTreeMap<&'p CredentialName, Vec<&'p CredentialName>>,
    desks: BTreeMap<&'p WorkspaceName, Desk<'p>>,
    /// At the same moment, whoever was due first looks first.
    agenda: BTreeSet<(Timestamp, Turn, Timestamp, &'p CredentialName)>,
    begun: usize,
    told: BTreeSet<(&'p CredentialName, &'static str)>,
    all: Forecast,
}

pub(super) fn play<'p>(
    policy: &'p Policy,
    quotas: Quotas<'p>,
    mut starts: BTreeMap<CredentialName, Start>,
    reach: Reach,
) -> Forecast {
    let now = reach.now;
    let mut fleet = Fleet {
        reach,
        quotas,
        begun: 0,
        courses: BTreeMap::new(),
        followers: BTreeMap::new(),
        desks: BTreeMap::new(),
        agenda: BTreeSet::new(),
        told: BTreeSet::new(),
        all: Forecast::default(),
    };
    for (name, credential) in &policy.credentials {
        let start = starts.remove(name);
        let start = start.unwrap_or_else(|| Start { record: Record::new(name.clone()), under_way: None });
        let limits = policy.workspaces.get(&credential.workspace).copied();
        let desk = fleet.desks.entry(&credential.workspace);
        let desk = desk.or_insert_with(|| Desk::new(limits.unwrap_or_else(WorkspaceLimits::default)));
        let (at, turn) = start.under_way.map_or((now, Turn::Looks), |it| (it.ends.max(now), Turn::Ends));
        desk.under_way += usize::from(start.under_way.is_some());
        fleet.agenda.insert((at, turn, Timestamp::MIN, name));
        for first in &credential.after {
            fleet.followers.entry(first).or_default().push(name);
        }
        let Start { mut record, under_way } = start;
        record.open = under_way.map(|_| unnamed());
        let (held_by, over) = (None, None);
        let course = Course { credential, record, under_way, held_by, by_others: false, over, begun: 0 };
        fleet.courses.insert(name, course);
    }
    while let Some((at, turn, _, name)) = fleet.agenda.pop_first() {
        match turn {
            Turn::Ends => fleet.end(name, at),
            Turn::Looks => fleet.look(name, at),
        }
        if fleet.begun >= reach.bounds.of_all {
            fleet.cut(at);
            break;
        }
    }
    if fleet.all.whole_until.is_none() {
        fleet.leave_behind();
    }
    fleet.all
}

/// No rotation that anybody could ask about.
fn unnamed() -> RotationId {
    RotationId::from_uuid(uuid::Uuid::nil())
}

impl<'p> Fleet<'p> {
    fn end(&mut self, name: &'p CredentialName, now: Timestamp) {
        let Some(course) = self.courses.get_mut(name) else { return };
        let Some(UnderWay { since, .. }) = course.under_way.take() else { return };
        let credential = course.credential;
        if let Some(current) = &mut course.record.current {
            current.since = since;
            current.expires_at = credential.key_lifetime.map(|lifetime| later(since, lifetime));
        } else {
            course.record.current = Start::assumed(name.clone(), since).record.current;
        }
        course.record.due = None;
        course.record.open = None;
        course.record.aborts = 0;
        course.record.last =
            Some(LastRotation { rotation: unnamed(), outcome: PhaseName::Done, at: now, why: None });
        course.over = Some(now);
        self.look_at(name, now, now);
        for follower in self.followers.get(name).cloned().unwrap_or_default() {
            self.look_at(follower, now, now);
        }
        if let Some(desk) = self.desks.get_mut(&credential.workspace) {
            desk.under_way = desk.under_way.saturating_sub(1);
        }
        self.call(&credential.workspace, now);
    }

    /// Whoever is first in line looks whether there is a place.
    fn call(&mut self, workspace: &WorkspaceName, now: Timestamp) {
        let first = self.desks.get(workspace).and_then(Desk::called);
        if let Some((due, name)) = first {
            self.look_at(name, now, due);
        }
    }

    fn look_at(&mut self, name: &'p CredentialName, at: Timestamp, due: Timestamp) {
        self.agenda.insert((at, Turn::Looks, due, name));
    }

    fn look(&mut self, name: &'p CredentialName, now: Timestamp) {
        let Some(course) = self.courses.get(name) else { return };
        if course.under_way.is_some() {
            return;
        }
        let (credential, begun) = (course.credential, course.begun);
        let next = next(credential, &course.record, now);
        if next.due > self.reach.until {
            return;
        }
        if begun >= self.reach.bounds.of_one {
            return self.cut(next.due.max(now));
        }
        if next.begins == Timestamp::MAX {
            self.step_aside(name, credential, now);
            let why = "it is due and can never begin: mend `window` or `freeze`";
            return self.broken(name, "never", next.due, why.to_owned());
        }
        if next.begins > now {
            self.step_aside(name, credential, now);
            self.look_at(name, next.begins, next.due);
            return self.held(name, next.held_by, false);
        }
        if let Some((why, until)) = self.wave(name, &next, now) {
            self.step_aside(name, credential, now);
            return self.wait(name, &next, why, until);
        }
        let Some(desk) = self.desks.get_mut(&credential.workspace) else { return };
        if !next.reason.is_urgent() && !desk.has_place(next.due, name) {
            let why =
                format!("its turn: `{}` has {} rotations under way", credential.workspace, desk.under_way);
            return self.wait(name, &next, why, None);
        }
        self.begin(name, &next, now);
    }

    /// Who has to come first, and until when that lasts if it is known.
    fn wave(
        &self,
        name: &CredentialName,
        next: &Next,
        now: Timestamp,
    ) -> Option<(String, Option<Timestamp>)> {
        if next.reason != Reason::Schedule {
            return None;
        }
        let course = self.courses.get(name)?;
        let record_of = |name: &CredentialName| self.courses.get(name).map(|course| &course.record);
        let waiting = waves::waits(&course.record, course.credential, record_of, now)?;
        Some((waiting.to_string(), waiting.until()))
    }

    /// Until somebody else has moved, or the key cannot wait any longer.
    fn wait(&mut self, name: &'p CredentialName, next: &Next, why: String, until: Option<Timestamp>) {
        for at in [until, next.deadline].into_iter().flatten() {
            self.look_at(name, at, next.due);
        }
        self.held(name, Some(why), true);
    }

    fn held(&mut self, name: &CredentialName, why: Option<String>, by_others: bool) {
        if let (Some(course), Some(why)) = (self.courses.get_mut(name), why) {
            course.held_by = Some(why);
            course.by_others |= by_others;
        }
    }

    /// Leaves the line, where the next may have its turn.
    fn step_aside(&mut self, name: &'p CredentialName, credential: &'p Credential, now: Timestamp) {
        if self.desks.get_mut(&credential.workspace).is_some_and(|desk| desk.leave(name)) {
            self.call(&credential.workspace, now);
        }
    }

    fn begin(&mut self, name: &'p CredentialName, next: &Next, now: Timestamp) {
        let Some(course) = self.courses.get_mut(name) else { return };
        let credential = course.credential;
        let Some(desk) = self.desks.get_mut(&credential.workspace) else { return };
        desk.leave(name);
        desk.under_way += 1;
        let since = desk.mint(now);
        let (mut held_by, by_others) = (course.held_by.take(), std::mem::take(&mut course.by_others));
        if since > now {
            held_by = Some(format!("the budget of `{}`, `mints_per_hour`", credential.workspace));
        }
        let disables = thawed(&credential.schedule, later(since, credential.terms.at_least));
        let deletes = thawed(&credential.schedule, later(disables, credential.terms.quarantine));
        course.under_way = Some(UnderWay { since, ends: deletes });
        course.record.open = Some(unnamed());
        course.begun += 1;
        self.begun += 1;
        let (due, reason) = (next.due, next.reason);
        let expires_at = course.record.current.as_ref().and_then(|current| current.expires_at);
        let born = course.record.current.as_ref().map_or(now, |current| current.since);
        let over = course.over.filter(|over| *over > due);
        let age = now.duration_since(born);
        self.agenda.insert((deletes, Turn::Ends, due, name));
        self.call(&credential.workspace, now);
        if let Some(expiry) = expires_at.filter(|expiry| *expiry <= since) {
            let held = held_by.as_deref().unwrap_or("its schedule");
            self.broken(name, "expiry", due, format!(
                "its key expires at {expiry}, before it can be replaced at {since} ({held}); lengthen `key_lifetime`, or shorten the interval"
            ));
        }
        if let Some(over) = over {
            self.broken(name, "overlap", due, overlapping(over));
        }
        // Neither what was due before this was asked, nor what the rotation before it held up, is its calendar's fault.
        let wanted = over.unwrap_or(due).max(self.reach.now);
        self.late(name, wanted, since, held_by.as_deref(), by_others || since > now);
        let refused = self.quotas.count(credential, now);
        self.all.broken.extend(refused);
        let credential = name.clone();
        self.tell(Foreseen { credential, reason, due, begins: now, held_by, age, disables, deletes });
    }

    fn tell(&mut self, foreseen: Foreseen) {
        if self.all.rotations.len() < self.reach.bounds.told {
            self.all.rotations.push(foreseen);
        } else {
            self.all.more += 1;
        }
    }

    /// Not everything is played from here on.
    fn cut(&mut self, at: Timestamp) {
        let before = self.all.whole_until.unwrap_or(at);
        self.all.whole_until = Some(before.min(at));
    }

    /// To wait is what calendars and others are there for; a whole interval of it is one rotation that there never is.
    fn late(
        &mut self,
        name: &'p CredentialName,
        due: Timestamp,
        by: Timestamp,
        why: Option<&str>,
        by_others: bool,
    ) {
        let Some(course) = self.courses.get(name) else { return };
        if !is_late(course.credential, due, by) {
            return;
        }
        let why = why.unwrap_or("its calendar");
        let why = if by_others {
            format!(
                "it has to wait for others until {by} at least, longer than its whole interval ({why}): shorten `bake` or `overlap`, raise `overlaps_at_once` or `mints_per_hour`, or rotate less often"
            )
        } else {
            held_up(by, why)
        };
        self.broken(name, "late", due, why);
    }

    fn broken(&mut self, name: &'p CredentialName, kind: &'static str, at: Timestamp, why: String) {
        if self.told.insert((name, kind)) {
            self.all.broken.push(Broken { credential: name.clone(), at, why });
        }
    }

    /// Those that still wait when nobody moves any more.
    fn leave_behind(&mut self) {
        let until = self.reach.until;
        let waiting = self.courses.iter().filter(|(_, it)| it.under_way.is_none() && it.by_others);
        let waiting: Vec<_> = waiting
            .map(|(name, it)| (*name, next(it.credential, &it.record, until).due, it.held_by.clone()))
            .collect();
        for (name, due, why) in waiting {
            self.late(name, due.max(self.reach.now), until, why.as_deref(), true);
        }
    }
}
