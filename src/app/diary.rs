//! The daemon's own life in the audit log, and where that ends, told so that it can be noted elsewhere.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::app::assembly::Base;
use crate::domain::audit::{Act, Actor, changes};
use crate::ports::clock::Clock;
use crate::ports::journal::{self, Journal};

const TELL_THE_HEAD_EVERY: SignedDuration = SignedDuration::from_hours(24);

#[derive(Clone)]
pub(super) struct Diary {
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
}

impl Diary {
    pub(super) fn of(base: &Base) -> Self {
        Self { journal: Arc::clone(&base.journal), clock: Arc::clone(&base.clock) }
    }

    /// # Errors
    /// The journal cannot be written: then nothing else may be done either.
    pub(super) async fn started(&self, policy: &str) -> Result<(), journal::Error> {
        let details = json!({ "version": env!("CARGO_PKG_VERSION"), "policy_sha256": policy });
        self.journal.record(&self.act(changes::STARTED, details)).await?;
        self.tell_the_head().await;
        Ok(())
    }

    /// The last word, as far as the journal can still be written.
    pub(super) async fn stopped(&self, why: Option<String>) {
        let act = self.act(changes::STOPPED, json!({ "why": why }));
        if let Err(error) = self.journal.record(&act).await {
            tracing::warn!(%error, "that rekeyd stops is not in the audit log");
        }
        self.tell_the_head().await;
    }

    pub(super) async fn tell_the_head_daily(self, stop: CancellationToken) {
        loop {
            let next = self.clock.now().saturating_add(TELL_THE_HEAD_EVERY).unwrap_or(Timestamp::MAX);
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep_until(next) => self.tell_the_head().await,
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
