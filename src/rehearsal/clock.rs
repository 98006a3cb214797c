//! Virtual time: it stands still while anything is left to do, then jumps to the next instant that is waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::oneshot;

use crate::domain::time::{ClockSteps, later};
use crate::ports::clock::Clock;

/// A clock that is moved, and that can be wrong. A clone is the same clock.
#[derive(Clone)]
pub struct VirtualClock(Arc<Mutex<State>>);

struct State {
    truth: Timestamp,
    /// How far the clock that is read is ahead of the true time.
    ahead: SignedDuration,
    steps: ClockSteps,
    /// Orders those who wait for the same instant.
    next: u64,
    /// By true time.
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
}

impl VirtualClock {
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        let state = State {
            truth: now,
            ahead: SignedDuration::ZERO,
            steps: ClockSteps::NONE,
            next: 0,
            sleepers: BTreeMap::new(),
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// The true time, which the imagined provider and stores go by.
    #[must_use]
    pub fn truth(&self) -> Timestamp {
        self.state().truth
    }

    /// How far the clock is ahead of the true time.
    #[must_use]
    pub fn ahead(&self) -> SignedDuration {
        self.state().ahead
    }

    /// Sets the clock wrong; zero sets it right. Nobody is woken by that.
    pub fn set_ahead(&self, ahead: SignedDuration) {
        self.state().ahead = ahead;
    }

    /// Moves the true time to `at`, unless that is past, and wakes everything that waited for it.
    pub fn move_to(&self, at: Timestamp) {
        let mut state = self.state();
        state.truth = state.truth.max(at);
        while let Some(first) = state.sleepers.first_entry() {
            if first.key().0 > at {
                break;
            }
            // The sleeper may have been cancelled.
            first.remove().send(()).ok();
        }
    }

    /// Moves to the next instant that is waited for. Does nothing if there is none.
    pub fn advance(&self) {
        let next = {
            let mut state = self.state();
            while let Some(first) = state.sleepers.first_entry() {
                if !first.get().is_closed() {
                    break;
                }
                first.remove();
            }
            state.sleepers.first_key_value().map(|((at, _), _)| *at)
        };
        if let Some(at) = next {
            self.move_to(at);
        }
    }

    /// A runtime in which this clock moves on whenever nothing is left to do. Nothing in it may wait for anything but this
    /// clock: no files, no network.
    ///
    /// # Errors
    /// The system cannot create a runtime.
    pub fn runtime(&self) -> std::io::Result<tokio::runtime::Runtime> {
        let clock = self.clone();
        tokio::runtime::Builder::new_current_thread()
            .on_thread_park(move || clock.advance())
            .enable_time()
            .build()
    }

    /// Sleeps for so long of the true time.
    pub async fn sleep(&self, lasts: SignedDuration) {
        self.wait(later(self.truth(), lasts)).await;
    }

    /// Waits for an instant of the true time.
    pub async fn wait(&self, until: Timestamp) {
        let woken = {
            let mut state = self.state();
            if until <= state.truth {
                None
            } else {
                let (sender, woken) = oneshot::channel();
                let key = (until, state.next);
                state.next += 1;
                state.sleepers.insert(key, sender);
                Some(woken)
            }
        };
        match woken {
            // A clock that is dropped wakes every sleeper.
            Some(woken) => drop(woken.await),
            // What is due at once must not keep other tasks from running.
            None => tokio::task::yield_now().await,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn uptime(&self) -> Duration {
        self.truth.duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
    }

    fn read(&mut self) -> (Timestamp, u64) {
        let now = later(self.truth, self.ahead);
        let uptime = self.uptime();
        (now, self.steps.count(now, uptime))
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.state().read().0
    }

    fn uptime(&self) -> Duration {
        self.state().uptime()
    }

    fn steps(&self) -> u64 {
        self.state().read().1
    }

    async fn sleep(&self, lasts: SignedDuration) {
        self.wait(later(self.truth(), lasts)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_passes_in_the_order_in_which_it_is_waited_for() {
        let clock = VirtualClock::new(Timestamp::UNIX_EPOCH);
        let after = |days: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * days);
        let woken = Mutex::new(Vec::new());
        let sleep = async |days: i64| {
            clock.wait(after(days)).await;
            woken.lock().unwrap().push(days);
        };
        clock.runtime().unwrap().block_on(async {
            tokio::join!(sleep(365), sleep(3), sleep(0), sleep(40));
        });
        assert_eq!(*woken.lock().unwrap(), [0, 3, 40, 365]);
        assert_eq!(clock.now(), after(365));
    }
}
