//! One listing serves every reconciler that asked before it began: the provider's calls do not grow with the rotations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Mutex;

use crate::domain::failure::Failure;
use crate::domain::key::Inventory;
use crate::ports::issuer::Issuer;

#[derive(Default)]
pub(super) struct SharedInventory {
    /// Orders requests and beginnings of listings; time itself is too coarse for that.
    tickets: AtomicU64,
    last: Mutex<Option<Listing>>,
}

struct Listing {
    begun: u64,
    outcome: Result<Arc<Inventory>, Failure>,
}

impl SharedInventory {
    /// A listing that began after this call. At most one is under way at a time. A failure is shared too, so that
    /// many that wait for a provider that is down do not queue up. Cancel-safe.
    pub(super) async fn fresh(&self, issuer: &dyn Issuer) -> Result<Arc<Inventory>, Failure> {
        let arrived = self.tickets.fetch_add(1, Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some(listing) = last.as_ref().filter(|listing| listing.begun > arrived) {
            return listing.outcome.clone();
        }
        let begun = self.tickets.fetch_add(1, Ordering::SeqCst);
        let outcome = issuer.inventory().await.map(Arc::new);
        *last = Some(Listing { begun, outcome: outcome.clone() });
        outcome
    }
}
