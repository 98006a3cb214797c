//! Follows one secret: looks, writes what is new, and says so. Whatever goes wrong, the last good file stays.

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

/// What may be half written is looked at again so soon.
const UNSETTLED: Duration = Duration::from_millis(250);

/// What stands where the application reads it.
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
    pub(super) shelf: Arc<SecretCache>,
    pub(super) changes: mpsc::Sender<Change>,
}

/// Whether a look showed all that there is.
enum Settled {
    Yes,
    No,
}

impl Follower {
    /// Goes on until it is dropped. `look_now` ends a wait.
    pub(super) async fn run(self, look_now: Arc<Notify>) {
        let (mut mark, mut failures) = (None, 0u32);
        loop {
            let wait = match self.look(&mut mark).await {
                Ok(Settled::No) => UNSETTLED.min(self.every),
                Ok(Settled::Yes) => {
                    if failures > 0 {
                        tracing::info!(secret = %self.name, failures, "it can be followed again");
                    }
                    failures = 0;
                    backoff::jittered(self.every, random())
                }
                Err(why) => {
                    failures = failures.saturating_add(1);
                    self.complain(failures, &why).await;
                    self.retry().wait(failures, None, random()).unsigned_abs()
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = look_now.notified() => {}
            }
        }
    }

    fn retry(&self) -> Backoff {
        let of = |duration| SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX);
        Backoff { first: of(self.every), cap: of(self.every_max.max(self.every)) }
    }

    async fn look(&self, mark: &mut Option<ContentMark>) -> Result<Settled, String> {
        match self.source.look(mark.as_ref()).await.map_err(|failure| failure.to_string())? {
            FollowedState::Same => {}
            FollowedState::Unsettled => return Ok(Settled::No),
            FollowedState::New { mark: newer, value } => {
                let put = self.shelf.put(&self.name, value).map_err(|unput| with_cause(&unput))?;
                *mark = Some(newer);
                self.tell(put).await;
            }
        }
        Ok(Settled::Yes)
    }

    async fn complain(&self, failures: u32, why: &str) {
        let last_good = self.shelf.fingerprint(&self.name);
        if backoff::is_logged(failures) {
            match &last_good {
                Some(fingerprint) => {
                    tracing::error!(secret = %self.name, failures, why, %fingerprint,
                        "the secret cannot be followed; the last good one stays in place");
                }
                None => {
                    tracing::error!(secret = %self.name, failures, why,
                        "the secret cannot be had, and there is no earlier one");
                }
            }
        }
        if let Some(fingerprint) = last_good.filter(|_| failures == 1) {
            self.tell(fingerprint).await;
        }
    }

    async fn tell(&self, fingerprint: Fingerprint) {
        // Nobody hears it any more when the agent stops.
        drop(self.changes.send(Change { name: self.name.clone(), fingerprint }).await);
    }
}

fn with_cause(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
