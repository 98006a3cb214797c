//! The daemon's own life in the audit log, and where that ends, told so that it can be noted elsewhere.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::assembly::Base;
use crate::domain::audit::{Act, Actor, changes};
use crate::domain::time::later;
use crate::ports::clock::Clock;
use crate::ports::journal::{AuditLog, Journal};

/// A journal that cannot be written is tried again so soon.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);
const TELL_THE_HEAD_EVERY: SignedDuration = SignedDuration::from_hours(24);

#[derive(Clone)]
pub(super) struct Lifecycle {
    journal: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
}

impl Lifecycle {
    pub(super) fn of(base: &Base) -> Self {
        Self { journal: Arc::<dyn Journal>::clone(&base.journal), clock: Arc::clone(&base.clock) }
    }

    /// Records that the daemon has started. If the journal cannot be written, nothing else can be done either; the record
    /// that could not be made is returned.
    pub(super) async fn started(&self, policy: &str) -> Option<Act> {
        let details = json!({ "version": env!("CARGO_PKG_VERSION"), "policy_sha256": policy });
        let act = self.act(changes::STARTED, details);
        if self.is_recorded(&act).await { None } else { Some(act) }
    }

    async fn is_recorded(&self, act: &Act) -> bool {
        match self.journal.record(act).await {
            Ok(()) => {
                self.tell_the_head().await;
                true
            }
            Err(error) => {
                tracing::error!(%error, what = act.what, "not in the audit log");
                false
            }
        }
    }

    /// The last word, as far as the journal can still be written.
    pub(super) async fn stopped(&self, why: Option<String>) {
        let act = self.act(changes::STOPPED, json!({ "why": why }));
        self.is_recorded(&act).await;
    }

    /// Makes up for what could not be recorded, then tells the head once a day.
    pub(super) async fn keep(self, mut missing: Option<Act>, stop: CancellationToken) {
        loop {
            let wait = if missing.is_some() { AGAIN } else { TELL_THE_HEAD_EVERY };
            let next = later(self.clock.now(), wait);
            // A sleeper may be woken before that.
            while self.clock.now() < next {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.clock.sleep_until(next) => {}
                }
            }
            match &missing {
                Some(act) if !self.is_recorded(act).await => {}
                Some(_) => missing = None,
                None => self.tell_the_head().await,
            }
        }
    }

    async fn tell_the_head(&self) {
        match self.journal.audit_head().await {
            Ok(head) => {
                tracing::info!(audit_head = %head, "the audit log ends here: noted elsewhere, this shows later that nothing of it was lost")
            }
            Err(error) => tracing::error!(%error, "the end of the audit log cannot be read"),
        }
    }

    fn act(&self, what: &str, details: serde_json::Value) -> Act {
        Act::new(self.clock.now(), Actor::Policy, what, details)
    }
}
