//! Whether rotations come as often as the policy says, and in time for what expires.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::domain::event::Event;
use crate::domain::ids::{CredentialName, KeyId, StoreName};
use crate::domain::phase::Phase;
use crate::domain::policy::{Credential, Policy};
use crate::domain::record::Record;
use crate::domain::rotation::Rotation;
use crate::domain::schedule::StartDecision;
use crate::domain::waves;
use crate::ports::store_kind::VersionQuota;
use crate::rehearsal::dry_run::Past;
use crate::rehearsal::simulation::late::{Held, is_late, overlapping};
use crate::rehearsal::simulation::quotas::Quotas;
use crate::rehearsal::simulation::report::{SimulatedRotation, Violation};

/// What takes no longer than that is no wait.
const AT_ONCE: SignedDuration = SignedDuration::from_mins(2);

/// How far one credential has come.
struct Progress<'a> {
    credential: &'a Credential,
    /// When the next rotation is due, as far as keys that are in service say.
    due: Timestamp,
    /// When the last one was over.
    over: Timestamp,
    is_open: bool,
    /// Since when the key in service is one, and when it expires.
    since: Timestamp,
    expires_at: Option<Timestamp>,
    /// What it has been seen to wait for since it was due.
    held_by: Option<Held>,
    made: Option<MadeKey>,
}

/// The key that the rotation under way has created.
struct MadeKey {
    id: KeyId,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    /// When it is to be replaced.
    next: Timestamp,
}

pub(super) struct Promises<'a> {
    policy: &'a Policy,
    all: BTreeMap<CredentialName, Progress<'a>>,
    quotas: Quotas<'a>,
    /// Of each credential every kind of violation is reported once.
    reported: BTreeSet<(CredentialName, &'static str)>,
    violations: Vec<Violation>,
}

impl<'a> Promises<'a> {
    /// A credential that nothing is known of is adopted at `from`.
    pub(super) fn new(
        policy: &'a Policy,
        quotas: &'a BTreeMap<StoreName, VersionQuota>,
        pasts: &BTreeMap<CredentialName, Past>,
        from: Timestamp,
    ) -> Self {
        let progress = |(name, credential): (&CredentialName, &'a Credential)| {
            let known = pasts.get(name).and_then(|past| past.known.as_ref());
            let current = known.and_then(|known| known.record.current.as_ref());
            let since = current.map_or(from, |current| current.since);
            let on_record = known.and_then(|known| known.record.due.as_ref()).map(|due| due.at);
            let due = on_record.or_else(|| current.map(|it| credential.schedule.next_due(name, it.since)));
            let progress = Progress {
                credential,
                // What was due before is not its calendar's fault.
                due: due.map_or(from, |due| due.max(from)),
                over: from,
                is_open: known.is_some_and(|known| known.rotation.is_some()),
                since,
                expires_at: current.and_then(|current| current.expires_at),
                held_by: None,
                made: None,
            };
            (name.clone(), progress)
        };
        Self {
            policy,
            all: policy.credentials.iter().map(progress).collect(),
            quotas: Quotas::new(quotas),
            reported: BTreeSet::new(),
            violations: Vec::new(),
        }
    }

    /// One more event: `rotation` is what it led to.
    pub(super) fn follow(
        &mut self,
        rotation: &Rotation,
        event: &Event,
        at: Timestamp,
        told: Option<&mut SimulatedRotation>,
    ) {
        let name = &rotation.plan.credential;
        let Some(progress) = self.all.get_mut(name) else { return };
        let credential = progress.credential;
        let next_after = |since| credential.schedule.next_due(name, since);
        if matches!(event, Event::Begun(_)) {
            let (due, over) = (progress.due, progress.over);
            (progress.is_open, progress.made) = (true, None);
            if let Some(told) = told {
                told.due = due.min(at);
                told.age = at.duration_since(progress.since);
                let held = progress.held_by.as_ref().filter(|_| at.duration_since(due) > AT_ONCE);
                told.held_by = held.map(|held| held.why.clone());
            }
            self.violations.extend(self.quotas.count(credential, at));
            if over > due {
                self.tell(name, "overlap", due, overlapping(over));
            }
            return;
        }
        if let Some(successor) = rotation.successor()
            && progress.made.as_ref().is_none_or(|made| made.id != successor.key)
        {
            let created_at = successor.facts.as_ref().and_then(|facts| facts.created_at).unwrap_or(at);
            progress.made = Some(MadeKey {
                id: successor.key.clone(),
                created_at,
                expires_at: successor.request.expires_at,
                next: next_after(created_at),
            });
            if created_at.duration_since(rotation.plan.begun_at) > AT_ONCE {
                let why = format!("the budget of `{}`, `mints_per_hour`", credential.workspace);
                if let Some(told) = told {
                    told.held_by = Some(why.clone());
                }
                progress.held_by = Some(Held { why, by_others: true });
            }
            let (wanted, held, expiry) =
                (progress.due.max(progress.over), progress.held_by.take(), progress.expires_at);
            if let Some(expiry) = expiry.filter(|expiry| *expiry <= created_at) {
                self.expired(name, expiry, held.as_ref());
            }
            if is_late(credential, wanted, created_at) {
                self.tell(name, "late", wanted, Held::up(held.as_ref(), created_at));
            }
        }
        let Some(progress) = self.all.get_mut(name) else { return };
        if !rotation.is_over() {
            return;
        }
        progress.is_open = false;
        // What came to nothing is still due.
        let made = progress.made.take();
        if let (Phase::Done(_), Some(made)) = (&rotation.phase, made) {
            (progress.due, progress.over) = (made.next, at);
            (progress.since, progress.expires_at) = (made.created_at, made.expires_at);
        } else if matches!(rotation.phase, Phase::RolledBack { .. }) {
            (progress.due, progress.over) = (next_after(at), at);
        }
    }

    /// Looks what waits for what, and what is overdue at `now`.
    pub(super) fn judge(&mut self, records: &BTreeMap<CredentialName, Record>, now: Timestamp) {
        for (name, progress) in &mut self.all {
            if !progress.is_open && progress.due <= now {
                let held = held_by(self.policy, progress.credential, records, name, now);
                progress.held_by = held.or_else(|| progress.held_by.take());
            }
        }
        let overdue = |progress: &Progress<'_>| match &progress.made {
            Some(made) => (made.next < now).then(|| ("overlap", made.next, overlapping(now))),
            None => {
                let late = is_late(progress.credential, progress.due.max(progress.over), now);
                late.then(|| ("late", progress.due, Held::up(progress.held_by.as_ref(), now)))
            }
        };
        self.tell_all(overdue);
        let expired = self.all.iter().filter(|(_, it)| it.made.is_none());
        let expired = expired.filter_map(|(name, it)| Some((name.clone(), it.expires_at?)));
        for (name, expiry) in expired.filter(|(_, at)| *at <= now).collect::<Vec<_>>() {
            let held = self.all.get(&name).and_then(|progress| progress.held_by.clone());
            self.expired(&name, expiry, held.as_ref());
        }
    }

    /// What cannot come in time any more, where the simulation ends before that shows.
    pub(super) fn close(&mut self, now: Timestamp) {
        let held = |progress: &Progress<'_>| {
            if progress.is_open || progress.due > now {
                return None;
            }
            match progress.credential.schedule.admits(now) {
                StartDecision::Closed { until, why } => {
                    let late = is_late(progress.credential, progress.due.max(progress.over), until);
                    let held = Held { why, by_others: false };
                    late.then(|| ("late", progress.due, Held::up(Some(&held), until)))
                }
                StartDecision::Open => None,
            }
        };
        self.tell_all(held);
    }

    /// What was found since the last call.
    pub(super) fn take(&mut self) -> Vec<Violation> {
        std::mem::take(&mut self.violations)
    }

    fn expired(&mut self, name: &CredentialName, at: Timestamp, held: Option<&Held>) {
        let held = held.map_or("its schedule", |held| &held.why);
        let why = format!(
            "its key expires at {at:.0}, before it can be replaced ({held}); lengthen `key_lifetime`, or shorten the interval"
        );
        self.tell(name, "expiry", at, why);
    }

    fn tell_all(&mut self, find: impl Fn(&Progress<'_>) -> Option<(&'static str, Timestamp, String)>) {
        let found = self.all.iter().filter_map(|(name, progress)| Some((name.clone(), find(progress)?)));
        let found: Vec<_> = found.collect();
        for (name, (kind, at, why)) in found {
            self.tell(&name, kind, at, why);
        }
    }

    fn tell(&mut self, name: &CredentialName, kind: &'static str, at: Timestamp, why: String) {
        if self.reported.insert((name.clone(), kind)) {
            self.violations.push(Violation { credential: name.clone(), at, why });
        }
    }
}

/// What keeps a credential that is due from being rotated now.
fn held_by(
    policy: &Policy,
    credential: &Credential,
    records: &BTreeMap<CredentialName, Record>,
    name: &CredentialName,
    now: Timestamp,
) -> Option<Held> {
    if let StartDecision::Closed { why, .. } = credential.schedule.admits(now) {
        return Some(Held { why, by_others: false });
    }
    // An adoption waits for no predecessor.
    let own = records.get(name).filter(|own| !own.published.is_empty());
    if let Some(waiting) = own.and_then(|own| waves::waits(own, credential, |name| records.get(name), now)) {
        return Some(Held { why: waiting.to_string(), by_others: true });
    }
    let limits = policy.workspaces.get(&credential.workspace)?;
    let in_workspace =
        |name| policy.credentials.get(name).is_some_and(|it| it.workspace == credential.workspace);
    let under_way =
        records.iter().filter(|(name, record)| record.open.is_some() && in_workspace(name)).count();
    (under_way >= limits.overlaps_at_once.max(1)).then(|| Held {
        why: format!(
            "a rotation slot: `{}` has {under_way} rotations under way, `overlaps_at_once`",
            credential.workspace
        ),
        by_others: true,
    })
}
