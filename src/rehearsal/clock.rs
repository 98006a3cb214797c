//! Virtual time: it stands still while anybody has something to do, and jumps to the next instant that is waited for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::ports::clock::Clock;

/// A clock that somebody moves. A clone is the same clock.
#[derive(Clone)]
pub struct VirtualClock(Arc<Mutex<State>>);

struct State {
    now: Timestamp,
    /// Tells those apart who wait for the same instant.
    next: u64,
    sleepers: BTreeMap<(Timestamp, u64), oneshot::Sender<()>>,
}

impl VirtualClock {
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new(State { now, next: 0, sleepers: BTreeMap::new() })))
    }

    /// Sets the clock to `at`, unless that is past, and wakes whoever waited for it.
    pub fn move_to(&self, at: Timestamp) {
        let mut state = self.state();
        state.now = state.now.max(at);
        while let Some(first) = state.sleepers.first_entry() {
            if first.key().0 > at {
                break;
            }
            // Nobody may be left who waits.
            first.remove().send(()).ok();
        }
    }

    /// Moves to the next instant that somebody waits for. Does nothing if nobody does.
    pub fn advance(&self) {
        let next = {
            let mut state = self.state();
            state.sleepers.retain(|_, sleeper| !sleeper.is_closed());
            state.sleepers.first_key_value().map(|((at, _), _)| *at)
        };
        if let Some(at) = next {
            self.move_to(at);
        }
    }

    /// A runtime in which this clock moves on whenever nobody has anything left to do. Nothing in it may wait for anything
    /// but this clock: no files, no network.
    ///
    /// # Errors
    /// The system gives none.
    pub fn runtime(&self) -> std::io::Result<tokio::runtime::Runtime> {
        let clock = self.clone();
        tokio::runtime::Builder::new_current_thread()
            .on_thread_park(move || clock.advance())
            .enable_time()
            .build()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.state().now
    }

    async fn sleep_until(&self, at: Timestamp) {
        let woken = {
            let mut state = self.state();
            if at <= state.now {
                None
            } else {
                let (sender, woken) = oneshot::channel();
                let key = (at, state.next);
                state.next += 1;
                state.sleepers.insert(key, sender);
                Some(woken)
            }
        };
        match woken {
            // A clock that is gone wakes everybody.
            Some(woken) => drop(woken.await),
            // What is due at once must not keep others from running.
            None => tokio::task::yield_now().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn a_year_passes_in_the_order_in_which_it_is_waited_for() {
        let clock = VirtualClock::new(Timestamp::UNIX_EPOCH);
        let after = |days: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * days);
        let woken = Mutex::new(Vec::new());
        let sleep = async |days: i64| {
            clock.sleep_until(after(days)).await;
            woken.lock().unwrap().push(days);
        };
        clock.runtime().unwrap().block_on(async {
            tokio::join!(sleep(365), sleep(3), sleep(0), sleep(40));
        });
        assert_eq!(*woken.lock().unwrap(), [0, 3, 40, 365]);
        assert_eq!(clock.now(), after(365));
    }
}
