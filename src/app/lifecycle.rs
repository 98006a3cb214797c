//! Records the daemon's starts and stops in the audit log, and logs the audit head once a day.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::assembly::Base;
use crate::domain::audit::{Act, Actor, changes};
use crate::ports::clock::Clock;
use crate::ports::journal::{AuditLog, Journal};

/// After a journal that cannot be written.
const AGAIN: SignedDuration = SignedDuration::from_secs(10);
const HEAD_EVERY: SignedDuration = SignedDuration::from_hours(24);

#[derive(Clone)]
pub(super) struct Lifecycle {
    journal: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
}

impl Lifecycle {
    pub(super) fn of(base: &Base) -> Self {
        Self { journal: Arc::<dyn Journal>::clone(&base.journal), clock: Arc::clone(&base.clock) }
    }

    /// Records that the daemon has started. If the journal cannot be written, nothing else can be done either: the act is
    /// returned, to be recorded later.
    pub(super) async fn started(&self, policy: &str) -> Option<Act> {
        let details = json!({ "version": env!("CARGO_PKG_VERSION"), "policy_sha256": policy });
        let act = self.act(changes::STARTED, details);
        if self.is_recorded(&act).await { None } else { Some(act) }
    }

    async fn is_recorded(&self, act: &Act) -> bool {
        match self.journal.record(act).await {
            Ok(()) => {
                self.log_audit_head().await;
                true
            }
            Err(error) => {
                tracing::error!(%error, what = act.what, "not in the audit log");
                false
            }
        }
    }

    /// Records that the daemon stops, as far as the journal can still be written.
    pub(super) async fn stopped(&self, why: Option<String>) {
        let act = self.act(changes::STOPPED, json!({ "why": why }));
        self.is_recorded(&act).await;
    }

    /// Records the missing act, then logs the audit head once a day.
    pub(super) async fn keep(self, mut missing: Option<Act>, stop: CancellationToken) {
        loop {
            let wait = if missing.is_some() { AGAIN } else { HEAD_EVERY };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(wait) => {}
            }
            match &missing {
                Some(act) if !self.is_recorded(act).await => {}
                Some(_) => missing = None,
                None => self.log_audit_head().await,
            }
        }
    }

    async fn log_audit_head(&self) {
        match self.journal.audit_head().await {
            Ok(head) => {
                tracing::info!(audit_head = %head, "audit head; store it elsewhere to detect truncation later")
            }
            Err(error) => tracing::error!(%error, "the end of the audit log cannot be read"),
        }
    }

    fn act(&self, what: &str, details: serde_json::Value) -> Act {
        Act::new(self.clock.now(), Actor::Policy, what, details)
    }
}
