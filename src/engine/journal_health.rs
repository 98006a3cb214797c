//! Whether the journal takes writes: by what reconcilers write, and by a probe while nobody writes anything.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::handle::Handle;
use crate::ports::journal;

/// How often it is tried, and how often while it failed.
const EVERY: Duration = Duration::from_mins(1);
const WHILE_FAILING: Duration = Duration::from_secs(5);

#[derive(Default)]
pub(super) struct JournalHealth(Mutex<LastWrite>);

#[derive(Default)]
struct LastWrite {
    at: Option<Timestamp>,
    /// Why the newest probe failed.
    refused: Option<String>,
}

impl JournalHealth {
    /// Something became durable.
    pub(super) fn wrote(&self, now: Timestamp) {
        *self.locked() = LastWrite { at: Some(now), refused: None };
    }

    /// Whether that is news.
    fn refused(&self, why: String) -> bool {
        self.locked().refused.replace(why).is_none()
    }

    fn locked(&self) -> MutexGuard<'_, LastWrite> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handle {
    /// Whether no reconciler waits because the journal cannot be written, and the newest probe was written.
    #[must_use]
    pub fn is_journal_writable(&self) -> bool {
        !self.is_a_write_blocked() && self.shared.journal_health.locked().refused.is_none()
    }

    /// When the journal last took a write.
    #[must_use]
    pub fn last_journal_write(&self) -> Option<Timestamp> {
        self.shared.journal_health.locked().at
    }

    /// Probes the journal, and says after how long it is to be probed again.
    pub async fn probe_journal(&self) -> Duration {
        let probed = self.journal().probe().await;
        let health = &self.shared.journal_health;
        match probed {
            Ok(()) => {
                let was_refused = health.locked().refused.is_some();
                health.wrote(self.context().now());
                if was_refused {
                    tracing::info!("the journal can be written again");
                }
                EVERY
            }
            Err(
                journal::Error::Unavailable(why)
                | journal::Error::Conflict(why)
                | journal::Error::Corrupt { why, .. },
            ) => {
                if health.refused(why.clone()) {
                    tracing::error!(%why, "the journal cannot be written: every rotation waits");
                }
                WHILE_FAILING
            }
        }
    }
}
