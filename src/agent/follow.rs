//! Follows one secret: reads its source at an interval, writes a new value to its file and publishes the change. If
//! anything fails, the last good file stays.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::{Notify, mpsc};

use crate::agent::random;
use crate::agent::secret_cache::SecretCache;
use crate::domain::backoff::{self, Backoff};
use crate::domain::ids::CredentialName;
use crate::domain::secret::Fingerprint;
use crate::ports::followed::{ContentMark, Followed, FollowedState};

/// The interval while the source may be half written.
const UNSETTLED: Duration = Duration::from_millis(250);

/// A value that was written for the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) name: CredentialName,
    pub(super) fingerprint: Fingerprint,
}

pub(super) struct Follower {
    pub(super) name: CredentialName,
    pub(super) source: Box<dyn Followed>,
    pub(super) every: Duration,
    pub(super) every_max: Duration,
    pub(super) cache: Arc<SecretCache>,
    pub(super) changes: mpsc::Sender<Change>,
}

/// Whether the source may be half written.
enum SourceState {
    Settled,
    Unsettled,
}

impl Follower {
    /// Runs until it is dropped. `poll_now` ends a wait.
    pub(super) async fn run(self, poll_now: Arc<Notify>) {
        let (mut mark, mut failures) = (None, 0u32);
        loop {
            let wait = match self.poll(&mut mark).await {
                Ok(SourceState::Unsettled) => UNSETTLED.min(self.every),
                Ok(SourceState::Settled) => {
                    if failures > 0 {
                        tracing::info!(secret = %self.name, failures, "secret is readable again");
                    }
                    failures = 0;
                    backoff::jittered(self.every, random())
                }
                Err(why) => {
                    failures = failures.saturating_add(1);
                    self.handle_failure(failures, &why).await;
                    self.retry().wait(failures, None, random()).unsigned_abs()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = poll_now.notified() => {}
            }
        }
    }

    fn retry(&self) -> Backoff {
        let of = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        Backoff { first: of(self.every), cap: of(self.every_max.max(self.every)) }
    }

    async fn poll(&self, mark: &mut Option<ContentMark>) -> Result<SourceState, String> {
        match self.source.look(mark.as_ref()).await.map_err(|failure| failure.to_string())? {
            FollowedState::Same => {}
            FollowedState::Unsettled => return Ok(SourceState::Unsettled),
            FollowedState::New { mark: newer, value } => {
                let written = self.cache.put(&self.name, value).map_err(|error| with_cause(&error))?;
                *mark = Some(newer);
                self.publish(written).await;
            }
        }
        Ok(SourceState::Settled)
    }

    async fn handle_failure(&self, failures: u32, why: &str) {
        let last_good = self.cache.fingerprint(&self.name);
        if backoff::is_logged(failures) {
            match &last_good {
                Some(fingerprint) => {
                    tracing::error!(secret = %self.name, failures, why, %fingerprint,
                        "cannot read the secret; the last good one stays in place");
                }
                None => {
                    tracing::error!(secret = %self.name, failures, why,
                        "cannot read the secret, and there is no earlier one");
                }
            }
        }
        if let Some(fingerprint) = last_good.filter(|_| failures == 1) {
            self.publish(fingerprint).await;
        }
    }

    async fn publish(&self, fingerprint: Fingerprint) {
        // The receiver is gone when the agent stops.
        drop(self.changes.send(Change { name: self.name.clone(), fingerprint }).await);
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
