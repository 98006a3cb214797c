//! The places of a server, so that whoever holds one without using it cannot keep others out: probes and
//! acknowledgements come through while any number of connections idle.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// Whoever has just come is not idle yet.
const GRACE: Duration = Duration::from_millis(250);

/// How long to wait before it is looked again who may be sent away.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// One connection, seen from outside of it.
pub(in crate::http) struct Presence {
    /// Since when it waits for its client; `None` while an answer is being worked on.
    idle_since: Mutex<Option<Instant>>,
    leave: CancellationToken,
}

/// An answer is being worked on as long as this lives.
pub(in crate::http) struct AtWork(Arc<Presence>);

impl Presence {
    /// The client has said all that it had to say: what takes time from here on is our doing.
    pub(in crate::http) fn works(self: &Arc<Self>) -> AtWork {
        *self.idle() = None;
        AtWork(Arc::clone(self))
    }

    /// When it has to make room.
    pub(super) async fn sent_away(&self) {
        self.leave.cancelled().await;
    }

    fn idle(&self) -> MutexGuard<'_, Option<Instant>> {
        self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AtWork {
    fn drop(&mut self) {
        *self.0.idle() = Some(Instant::now());
    }
}

pub(super) struct ConnectionSlots {
    free: Arc<Semaphore>,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    next: u64,
    by: BTreeMap<u64, Arc<Presence>>,
}

/// A place that is free again when this is dropped.
pub(super) struct ConnectionSlot {
    number: u64,
    presence: Arc<Presence>,
    taken: Arc<Mutex<Taken>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl ConnectionSlots {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), taken: Arc::default() }
    }

    /// A place, if need be of the connection that has been idle longest. While nobody is idle it waits.
    pub(super) async fn take(&self) -> ConnectionSlot {
        loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                return self.seat(Some(permit));
            }
            self.make_room();
            let permit = timeout(LOOK_AGAIN, Arc::clone(&self.free).acquire_owned()).await;
            if let Ok(permit) = permit {
                return self.seat(permit.ok());
            }
        }
    }

    fn seat(&self, permit: Option<OwnedSemaphorePermit>) -> ConnectionSlot {
        let presence = Arc::new(Presence {
            idle_since: Mutex::new(Some(Instant::now())),
            leave: CancellationToken::new(),
        });
        let mut taken = locked(&self.taken);
        let number = taken.next;
        taken.next = number.wrapping_add(1);
        taken.by.insert(number, Arc::clone(&presence));
        ConnectionSlot { number, presence, taken: Arc::clone(&self.taken), _permit: permit }
    }

    fn make_room(&self) {
        let taken = locked(&self.taken);
        let idle = taken.by.values().filter(|it| !it.leave.is_cancelled());
        let idle = idle.filter_map(|it| Some((*it.idle(), it)).filter(|(since, _)| since.is_some()));
        let longest = idle.min_by_key(|(since, _)| *since);
        if let Some((_, presence)) =
            longest.filter(|(since, _)| since.is_some_and(|since| since.elapsed() >= GRACE))
        {
            presence.leave.cancel();
        }
    }
}

impl ConnectionSlot {
    pub(super) fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        locked(&self.taken).by.remove(&self.number);
    }
}

fn locked(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}
