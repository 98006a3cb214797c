//! What failures of several credentials have in common: the same effect on the same store or workspace. One of them tries it again
//! within a minute, whatever its back-off says; when that succeeds, the others go on too. Forgotten with the process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::effect::{Effect, EffectName};
use crate::domain::ids::{StoreName, WorkspaceName};
use crate::domain::plan::Plan;

/// So long after the last attempt of anyone, one more is made early.
const TRIED_AGAIN: Duration = Duration::from_secs(50);

/// What failed where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cause {
    effect: EffectName,
    place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Store(StoreName),
    Workspace(WorkspaceName),
}

impl Cause {
    /// What a failure of `effect` in a rotation may have in common with others.
    pub(super) fn of(effect: Effect, plan: &Plan) -> Self {
        let store = match effect {
            Effect::Stage { destination }
            | Effect::Promote { destination }
            | Effect::Restore { destination } => plan.destinations.get(destination),
            Effect::Preflight
            | Effect::Mint
            | Effect::SettleLostKey
            | Effect::Verify
            | Effect::AwaitGates
            | Effect::DisableOld
            | Effect::AwaitQuarantine
            | Effect::ExpireOld
            | Effect::KeepOld
            | Effect::DeleteOld
            | Effect::Discard
            | Effect::EnableOld
            | Effect::AwaitReturn
            | Effect::DeleteNew => None,
        };
        let place = match store {
            Some(destination) => Place::Store(destination.store.clone()),
            None => Place::Workspace(plan.workspace.clone()),
        };
        Self { effect: effect.name(), place }
    }
}

/// By the uptime.
#[derive(Debug, Default)]
struct Attempts {
    /// The last one that failed, or that was allowed early.
    tried: Duration,
    /// The last one that succeeded after one had failed.
    recovered: Option<Duration>,
    is_failing: bool,
}

#[derive(Default)]
pub(super) struct Recoveries {
    causes: Mutex<BTreeMap<Cause, Attempts>>,
    /// A cause has recovered, and nobody has been told.
    untold: AtomicBool,
}

impl Recoveries {
    fn causes(&self) -> MutexGuard<'_, BTreeMap<Cause, Attempts>> {
        // Each change is a few assignments.
        self.causes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed(&self, cause: &Cause, uptime: Duration) {
        let mut causes = self.causes();
        let attempts = causes.entry(cause.clone()).or_default();
        attempts.tried = uptime;
        attempts.is_failing = true;
    }

    pub(super) fn succeeded(&self, cause: &Cause, uptime: Duration) {
        if let Some(attempts) = self.causes().get_mut(cause).filter(|attempts| attempts.is_failing) {
            attempts.recovered = Some(uptime);
            attempts.is_failing = false;
            self.untold.store(true, Relaxed);
        }
    }

    /// Whether one that failed at the uptime `failed` may try again before its back-off ends: it recovered for another one
    /// since, or nobody has tried for almost a minute. Then this attempt is the one of this minute.
    pub(super) fn may_try(&self, cause: &Cause, failed: Duration, uptime: Duration) -> bool {
        let mut causes = self.causes();
        let attempts = causes.entry(cause.clone()).or_insert_with(|| Attempts {
            tried: failed,
            recovered: None,
            is_failing: true,
        });
        if attempts.recovered.is_some_and(|at| at > failed) {
            return true;
        }
        let may = uptime.saturating_sub(attempts.tried) >= TRIED_AGAIN;
        if may {
            attempts.tried = uptime;
        }
        may
    }

    /// How long until one may be allowed early.
    pub(super) fn next_try(&self, cause: &Cause, uptime: Duration) -> Duration {
        let tried = self.causes().get(cause).map_or(uptime, |attempts| attempts.tried);
        (tried + TRIED_AGAIN).saturating_sub(uptime)
    }

    /// Whether anything recovered since this was asked last.
    pub(super) fn has_recovered(&self) -> bool {
        self.untold.swap(false, Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(store: &str) -> Cause {
        Cause { effect: EffectName::Stage, place: Place::Store(StoreName::new(store).unwrap()) }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn one_of_many_tries_within_the_minute_and_when_it_succeeds_all_do() {
        let recoveries = Recoveries::default();
        let aws = cause("aws");
        (0..3).for_each(|second| recoveries.failed(&aws, at(second)));
        assert!(!recoveries.may_try(&aws, at(0), at(51)), "the last failed 49 seconds ago");
        assert_eq!(recoveries.next_try(&aws, at(51)), at(1));
        assert!(recoveries.may_try(&aws, at(0), at(52)));
        assert!(!recoveries.may_try(&aws, at(1), at(52)), "one is enough");
        recoveries.failed(&aws, at(53));
        assert!(!recoveries.has_recovered());

        assert!(recoveries.may_try(&aws, at(1), at(103)));
        recoveries.succeeded(&aws, at(104));
        assert!(recoveries.has_recovered() && !recoveries.has_recovered(), "it is told once");
        assert!(recoveries.may_try(&aws, at(53), at(105)) && recoveries.may_try(&aws, at(2), at(105)));
        recoveries.failed(&aws, at(106));
        assert!(!recoveries.may_try(&aws, at(106), at(107)), "it failed again since");
    }

    #[test]
    fn what_works_for_one_store_says_nothing_of_another_and_a_success_alone_is_no_recovery() {
        let recoveries = Recoveries::default();
        recoveries.failed(&cause("aws"), at(1));
        recoveries.succeeded(&cause("local"), at(2));
        assert!(!recoveries.has_recovered());
        assert!(!recoveries.may_try(&cause("aws"), at(1), at(3)));
    }

    #[test]
    fn after_a_restart_the_journals_failure_counts() {
        let recoveries = Recoveries::default();
        assert!(!recoveries.may_try(&cause("aws"), at(10), at(20)));
        assert!(recoveries.may_try(&cause("aws"), at(10), at(60)));
    }
}
