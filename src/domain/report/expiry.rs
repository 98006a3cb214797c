//! When the keys that consumers use expire: the key on record, and during a rotation the new one too.

use jiff::{SignedDuration, Timestamp};

use crate::domain::hold::HoldKind;
use crate::domain::phase::{OldKey, PhaseName};
use crate::domain::policy::{Mode, Policy};
use crate::domain::record::Current;
use crate::domain::report::advice::Advice;
use crate::domain::report::holds::HoldReport;
use crate::domain::report::{CredentialReport, RotationReport};
use crate::domain::rotation::Rotation;
use crate::domain::time::{later, span};

/// Operators are told of an expiry so long before it, and at the earliest when this share of the key's life is left: the
/// alerts `RekeydKeyExpiresSoon` and `RekeydNewKeyExpiresSoon` say the same.
const TOLD_BEFORE: SignedDuration = SignedDuration::from_hours(24);
const LAST_SHARE: i32 = 5;

/// An expiry that rekeyd moves by itself has been left alone if it was not moved for so long.
const RENEWAL_GRACE: SignedDuration = SignedDuration::from_mins(10);

/// So long before an expiry it is told that no rotation can start: over a weekend.
const UNROTATED_BEFORE: SignedDuration = SignedDuration::from_hours(72);
const UNROTATED_SHARE: i32 = 3;

/// Why no rotation can start before the key expires, until something is changed. A window, a freeze, a wave and a breaker
/// give way to an expiry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unrotated {
    Observed,
    Obstacle,
    Paused,
    /// The policy has it no longer.
    Removed,
}

impl Unrotated {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Obstacle => "obstacle",
            Self::Paused => "paused",
            Self::Removed => "removed",
        }
    }

    /// For a sentence about the credential.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::Observed => "it is only observed",
            Self::Obstacle => "no rotation can start",
            Self::Paused => "rotations are paused",
            Self::Removed => "it is no longer in the policy",
        }
    }
}

/// When the key on record expires at the provider: a rotation may have given it another expiry.
pub(super) fn of_current(current: &Current, rotation: Option<&Rotation>) -> Option<Timestamp> {
    let rotation = rotation.filter(|rotation| rotation.plan.old.as_ref() == Some(&current.key));
    let set = rotation.and_then(|rotation| rotation.dead_man).filter(|dead_man| dead_man.is_in_force());
    set.map(|dead_man| dead_man.at).or(current.expires_at)
}

/// A key that consumers use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyInUse {
    /// During a rotation this is the old key.
    OnRecord,
    /// The new key of a rotation, from its publication on.
    New,
}

impl KeyInUse {
    /// The key as the subject of a sentence.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::OnRecord => "the key",
            Self::New => "the new key",
        }
    }
}

/// The expiry of a key in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    pub key: KeyInUse,
    pub at: Timestamp,
    since: Option<Timestamp>,
    /// By when rekeyd moves it on.
    moved_by: Option<Timestamp>,
}

impl Expiry {
    fn has_passed(&self, now: Timestamp) -> bool {
        self.at <= now
    }

    fn is_near(&self, now: Timestamp) -> bool {
        let left = self.at.duration_since(now);
        let is_moved = self.moved_by.is_some_and(|by| now <= later(by, RENEWAL_GRACE));
        let is_late = |since: Timestamp| left.saturating_mul(LAST_SHARE) < self.at.duration_since(since);
        left < TOLD_BEFORE && !is_moved && self.since.is_none_or(is_late)
    }

    /// `the new key expires in 3h`.
    #[must_use]
    pub fn told(&self, now: Timestamp) -> String {
        let left = self.at.duration_since(now);
        let key = self.key.noun();
        if left.is_positive() {
            format!("{key} expires in {}", span(left))
        } else {
            format!("{key} has expired")
        }
    }
}

impl CredentialReport {
    /// The expiry of a key in use that has passed.
    #[must_use]
    pub fn expired(&self, now: Timestamp) -> Option<Expiry> {
        self.expiries().find(|expiry| expiry.has_passed(now))
    }

    /// The expiry of a key in use that operators have to know of before it comes.
    #[must_use]
    pub fn expires_soon(&self, now: Timestamp) -> Option<Expiry> {
        self.expiries().filter(|expiry| !expiry.has_passed(now)).find(|expiry| expiry.is_near(now))
    }

    /// Why the key on record will expire, as things are.
    pub(super) fn find_unrotated(&self, policy: &Policy, now: Timestamp) -> Option<Unrotated> {
        let expiry = self.expiries().find(|expiry| self.rotation.is_none() && !expiry.has_passed(now))?;
        let left = expiry.at.duration_since(now);
        let is_late =
            |since: Timestamp| left.saturating_mul(UNROTATED_SHARE) < expiry.at.duration_since(since);
        if left >= UNROTATED_BEFORE || !expiry.since.is_none_or(is_late) {
            return None;
        }
        if !policy.credentials.is_empty() && !policy.credentials.contains_key(&self.credential) {
            return Some(Unrotated::Removed);
        }
        let pauses = |hold: &HoldReport| !hold.is_breakers() && hold.what != HoldKind::Revoking;
        match self.mode {
            Some(Mode::Observe) => Some(Unrotated::Observed),
            Some(Mode::Rotate) | None if self.obstacle.is_some() => Some(Unrotated::Obstacle),
            Some(Mode::Rotate) | None => self.held.iter().any(pauses).then_some(Unrotated::Paused),
        }
    }

    /// Of the keys that consumers use now, the new one first: it is served.
    fn expiries(&self) -> impl Iterator<Item = Expiry> {
        let rotation = self.rotation.as_ref();
        let new = rotation.and_then(|rotation| {
            let RotationReport { new_key_expires_at, new_key_since, .. } = rotation;
            let at = (*new_key_expires_at)?;
            Some(Expiry { key: KeyInUse::New, at, since: *new_key_since, moved_by: None })
        });
        let is_used = rotation.is_none_or(|rotation| {
            rotation.parked_in.unwrap_or(rotation.phase).row().old_key == OldKey::Enabled
        });
        let moved_by = rotation.and_then(|rotation| rotation.old_key_expiry_moved_by);
        let on_record = self.key_expires_at.filter(|_| is_used);
        let on_record =
            on_record.map(|at| Expiry { key: KeyInUse::OnRecord, at, since: self.key_since, moved_by });
        new.into_iter().chain(on_record)
    }
}

/// The advice for a credential without a rotation, whose key is about to expire.
pub(super) fn advise(report: &CredentialReport, advice: Advice, now: Timestamp) -> Advice {
    let Some(expiry) = report.expires_soon(now) else { return advice };
    let name = &report.credential;
    let (why, command) = if report.mode == Some(Mode::Observe) {
        ("it is only observed, and nobody replaces it", format!("rekeyd plan {name}"))
    } else {
        ("its rotation has not begun", format!("rekeyd status --why {name}"))
    };
    let summary = format!("{}: {why}; {}", expiry.told(now), advice.summary);
    Advice { attention: true, summary, command: advice.command.or(Some(command)), ..advice }
}

/// Adds an expiry to the advice of a rotation in progress. A rollback leads out while the old key works.
pub(super) fn beside(
    report: &CredentialReport,
    rotation: &Rotation,
    advice: Advice,
    now: Timestamp,
) -> Advice {
    // The reason for which a rotation is parked says of a key that has expired what to do.
    let expired = report.expired(now).filter(|_| rotation.phase.name() != PhaseName::Parked);
    let Some(expiry) = expired.or_else(|| report.expires_soon(now)) else { return advice };
    let may_go_back = expiry.key == KeyInUse::New
        && rotation.can_roll_back()
        && rotation.phase.old_key() == OldKey::Enabled;
    let verb = if may_go_back { "rollback" } else { "status --why" };
    let way_out = if may_go_back {
        "; let what the rotation waits for come, or roll back to the old key before"
    } else {
        ""
    };
    Advice {
        attention: true,
        summary: format!("{}{way_out}; {}", expiry.told(now), advice.summary),
        command: advice.command.or_else(|| Some(format!("rekeyd {verb} {}", report.credential))),
        ..advice
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::gate::Evidence;
    use crate::domain::hold::{BREAKER, Hold, Holds, Scope};
    use crate::domain::ids::CredentialName;
    use crate::domain::ids::KeyId;
    use crate::domain::record::Record;
    use crate::domain::report::Facts;
    use crate::domain::report::holds::Around;

    const HOUR: i64 = 3600;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn report(lived: i64, left: i64) -> CredentialReport {
        let mut record = Record::new(CredentialName::new("tts").unwrap());
        record.current = Some(Current {
            key: KeyId::new("key1").unwrap(),
            fingerprint: None,
            since: at(-lived),
            expires_at: Some(at(left)),
            usage_hash: None,
            attributes: None,
        });
        let evidence = Evidence::default();
        CredentialReport::new(
            Facts { record: &record, rotation: None, evidence: &evidence, policy: None },
            at(0),
        )
    }

    #[test]
    fn an_expiry_is_told_a_day_before_it_and_when_a_fifth_of_a_short_life_is_left() {
        for (lived, left, told) in [
            (60 * 24 * HOUR, 25 * HOUR, None),
            (60 * 24 * HOUR, 23 * HOUR, Some("the key expires in 23h")),
            (8 * HOUR, 4 * HOUR, None),
            (8 * HOUR, HOUR, Some("the key expires in 1h")),
            (8 * HOUR, 0, None),
        ] {
            let report = report(lived, left);
            let found = report.expires_soon(at(0)).map(|expiry| expiry.told(at(0)));
            assert_eq!(found.as_deref(), told, "{lived} {left}");
            assert_eq!(report.attention, told.is_some() || left == 0, "{}", report.summary);
        }
        assert_eq!(
            report(HOUR, 0).expired(at(0)).map(|it| it.told(at(0))).as_deref(),
            Some("the key has expired")
        );
    }

    #[test]
    fn a_key_that_nothing_will_replace_is_told_over_a_weekend_with_the_reason() {
        let hold = |what, by: &str| Hold {
            scope: Scope::Fleet,
            what,
            by: by.to_owned(),
            why: String::new(),
            since: at(-9),
        };
        let month = 30 * 24 * HOUR;
        for (left, holds, found) in [
            (71 * HOUR, vec![hold(HoldKind::Everything, "uid 7")], Some(Unrotated::Paused)),
            (71 * HOUR, vec![hold(HoldKind::Minting, "uid 7")], Some(Unrotated::Paused)),
            (71 * HOUR, vec![hold(HoldKind::Revoking, "uid 7")], None),
            // An expiring key passes the breaker.
            (71 * HOUR, vec![hold(HoldKind::Minting, BREAKER)], None),
            (71 * HOUR, vec![], None),
            (73 * HOUR, vec![hold(HoldKind::Everything, "uid 7")], None),
            (0, vec![hold(HoldKind::Everything, "uid 7")], None),
        ] {
            let (holds, records) = (Holds::new(holds), BTreeMap::new());
            let around = Around {
                holds: &holds,
                policy: &Policy::default(),
                records: &records,
                workspaces: &BTreeMap::new(),
            };
            let told = report(month, left).with_holds(&around, at(0));
            assert_eq!(told.unrotated, found, "{left} {holds:?}");
        }
        let (holds, records) = (Holds::new(vec![]), BTreeMap::new());
        let around = Around {
            holds: &holds,
            policy: &Policy::default(),
            records: &records,
            workspaces: &BTreeMap::new(),
        };
        let told = |change: fn(&mut CredentialReport)| {
            let mut report = report(month, 71 * HOUR);
            change(&mut report);
            report.with_holds(&around, at(0)).unrotated
        };
        assert_eq!(told(|report| report.mode = Some(Mode::Observe)), Some(Unrotated::Observed));
    }
}
