//! The connection slots of a server. An idle connection is evicted for a new one, so that probes and acknowledgements are
//! served while any number of connections idle.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

/// A connection is not evicted until it has been idle for this long.
const GRACE: Duration = Duration::from_millis(250);

/// How long to wait before the next attempt to evict a connection.
const EVICT_INTERVAL: Duration = Duration::from_millis(50);

/// The state of one connection.
pub(in crate::http) struct ConnectionState {
    /// Since when it waits for its client; `None` while a response is being prepared.
    idle_since: Mutex<Option<Instant>>,
    eviction: CancellationToken,
}

/// A response is being prepared while this lives.
pub(in crate::http) struct BusyGuard(Arc<ConnectionState>);

impl ConnectionState {
    /// The whole request has come: from here on the server is working.
    pub(in crate::http) fn busy(self: &Arc<Self>) -> BusyGuard {
        *self.idle() = None;
        BusyGuard(Arc::clone(self))
    }

    /// Completes when the connection is evicted.
    pub(super) async fn evicted(&self) {
        self.eviction.cancelled().await;
    }

    fn idle(&self) -> MutexGuard<'_, Option<Instant>> {
        self.idle_since.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for BusyGuard {
    fn drop(&mut self) {
        *self.0.idle() = Some(Instant::now());
    }
}

pub(super) struct ConnectionSlots {
    free: Arc<Semaphore>,
    occupied: Arc<Mutex<OccupiedSlots>>,
}

#[derive(Default)]
struct OccupiedSlots {
    next: u64,
    connections: BTreeMap<u64, Arc<ConnectionState>>,
}

/// A slot that is free again when this is dropped.
pub(super) struct ConnectionSlot {
    number: u64,
    state: Arc<ConnectionState>,
    occupied: Arc<Mutex<OccupiedSlots>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl ConnectionSlots {
    pub(super) fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), occupied: Arc::default() }
    }

    /// A slot, if need be that of the connection idle longest. Waits while no connection is idle.
    pub(super) async fn take(&self) -> ConnectionSlot {
        loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                return self.occupy(Some(permit));
            }
            self.evict_idle();
            let permit = timeout(EVICT_INTERVAL, Arc::clone(&self.free).acquire_owned()).await;
            if let Ok(permit) = permit {
                return self.occupy(permit.ok());
            }
        }
    }

    fn occupy(&self, permit: Option<OwnedSemaphorePermit>) -> ConnectionSlot {
        let state = Arc::new(ConnectionState {
            idle_since: Mutex::new(Some(Instant::now())),
            eviction: CancellationToken::new(),
        });
        let mut occupied = locked(&self.occupied);
        let number = occupied.next;
        occupied.next = number.wrapping_add(1);
        occupied.connections.insert(number, Arc::clone(&state));
        ConnectionSlot { number, state, occupied: Arc::clone(&self.occupied), _permit: permit }
    }

    fn evict_idle(&self) {
        let occupied = locked(&self.occupied);
        let idle = occupied.connections.values().filter(|it| !it.eviction.is_cancelled());
        let idle = idle.filter_map(|it| Some((*it.idle(), it)).filter(|(since, _)| since.is_some()));
        let longest = idle.min_by_key(|(since, _)| *since);
        if let Some((_, state)) =
            longest.filter(|(since, _)| since.is_some_and(|since| since.elapsed() >= GRACE))
        {
            state.eviction.cancel();
        }
    }
}

impl ConnectionSlot {
    pub(super) fn state(&self) -> &Arc<ConnectionState> {
        &self.state
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        locked(&self.occupied).connections.remove(&self.number);
    }
}

fn locked(occupied: &Mutex<OccupiedSlots>) -> MutexGuard<'_, OccupiedSlots> {
    occupied.lock().unwrap_or_else(PoisonError::into_inner)
}
