//! Reports to rekeyd which keys are in use: at once when that changes, every `heartbeat` otherwise, and with retries
//! without end while rekeyd is down.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use jiff::SignedDuration;
use reqwest::Url;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::agent::Error;
use crate::agent::http_client::{HttpClient, HttpRequest, Response, TlsFiles};
use crate::agent::random;
use crate::agent::supervisor::{KeyStatus, KeyStatuses};
use crate::config::agent::RekeydConfig;
use crate::config_file::environment::Environment;
use crate::domain::backoff::{self, Backoff};
use crate::domain::ids::CredentialName;

const CALL: Duration = Duration::from_secs(10);
const RETRY: Backoff = Backoff { first: SignedDuration::from_secs(1), cap: SignedDuration::from_mins(1) };
/// The wait while there is nothing to report.
const IDLE: Duration = Duration::from_secs(3600);

pub(super) struct AckReporter {
    rekeyd: RekeydConfig,
    environment: Box<dyn Environment>,
    client: HttpClient,
    sent: BTreeMap<CredentialName, SentStatus>,
}

/// The last report about a credential, accepted or not.
struct SentStatus {
    status: KeyStatus,
    failures: u32,
    /// When it is sent again.
    next: Instant,
}

impl AckReporter {
    /// # Errors
    /// The TLS files cannot be read.
    pub(super) fn new(rekeyd: RekeydConfig, environment: Box<dyn Environment>) -> Result<Self, Error> {
        let files = TlsFiles { ca_file: rekeyd.ca_file.clone(), identity: rekeyd.identity.clone() };
        let client = HttpClient::to(&rekeyd.url, files)?;
        Ok(Self { rekeyd, environment, client, sent: BTreeMap::new() })
    }

    /// Does not return. If it is cancelled during a report, the next run sends that report again.
    pub(super) async fn run(&mut self, statuses: &mut watch::Receiver<KeyStatuses>) {
        loop {
            let wanted = statuses.borrow_and_update().clone();
            self.send_due(&wanted).await;
            let next = self.sent.values().map(|sent| sent.next).min();
            let next = next.unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                changed = statuses.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = sleep_until(next) => {}
            }
        }
    }

    /// Tries each report that is due once.
    pub(super) async fn report_once(&mut self, statuses: &watch::Receiver<KeyStatuses>) {
        let wanted = statuses.borrow().clone();
        self.send_due(&wanted).await;
    }

    async fn send_due(&mut self, wanted: &KeyStatuses) {
        self.client.renew();
        self.sent.retain(|name, _| wanted.contains_key(name));
        for (name, key) in wanted {
            let (is_same, failures) = match self.sent.get(name) {
                Some(sent) if sent.status == *key && sent.next > Instant::now() => continue,
                Some(sent) => (sent.status == *key, sent.failures),
                None => (false, 0),
            };
            let outcome = self.send(name, key).await;
            let (failures, wait) = match &outcome {
                Ok(()) => (0, backoff::jittered(self.rekeyd.heartbeat, random())),
                Err(_) => {
                    let failures = if is_same { failures.saturating_add(1) } else { 1 };
                    (failures, RETRY.wait(failures, None, random()).unsigned_abs())
                }
            };
            let (fingerprint, status) = (&key.fingerprint, key.health.label());
            match outcome {
                Ok(()) if is_same && self.sent.get(name).is_some_and(|sent| sent.failures == 0) => {
                    tracing::debug!(credential = %name, %fingerprint, status, "acknowledgement repeated");
                }
                Ok(()) => tracing::info!(credential = %name, %fingerprint, status, "acknowledged to rekeyd"),
                Err(why) if backoff::is_logged(failures) => {
                    tracing::warn!(credential = %name, %fingerprint, status, failures, why,
                        "cannot acknowledge to rekeyd; will retry");
                }
                Err(_) => {}
            }
            let sent = SentStatus { status: key.clone(), failures, next: Instant::now() + wait };
            self.sent.insert(name.clone(), sent);
        }
    }

    async fn send(&self, name: &CredentialName, key: &KeyStatus) -> Result<(), String> {
        // Read each time, so that a replaced token takes effect at once.
        let token = self.rekeyd.token.as_ref().map(|token| token.read(&*self.environment)).transpose();
        let token = token.map_err(|unreadable| match std::error::Error::source(&unreadable) {
            Some(cause) => format!("{unreadable}: {cause}"),
            None => unreadable.to_string(),
        })?;
        let url = acks_url(&self.rekeyd.url, name).ok_or("`rekeyd.url` cannot take a path")?;
        let body = json!({
            "consumer": self.rekeyd.consumer,
            "fingerprint": key.fingerprint,
            "status": key.health.label(),
        });
        let request = HttpRequest {
            method: Method::POST,
            url: &url,
            token: token.as_ref(),
            body: Some(&body),
            limit: CALL,
        };
        let response = self.client.send(request).await?;
        if response.status.is_success() {
            if known(&response) == Some(false) {
                tracing::warn!(credential = %name, fingerprint = %key.fingerprint,
                    "rekeyd does not know this key: check that the agent reads the secret that rekeyd publishes");
            }
            return Ok(());
        }
        let advice = match response.status {
            StatusCode::UNAUTHORIZED => {
                ": check that the token or the certificate's name is the one in `consumers` of rekeyd's policy"
            }
            StatusCode::FORBIDDEN => ": name this consumer in `wait_for.acks` of the credential",
            StatusCode::NOT_FOUND => ": name the secret as its credential is named in rekeyd's policy",
            _ => "",
        };
        Err(format!("rekeyd answered {}{advice}", response.status))
    }
}

fn known(response: &Response) -> Option<bool> {
    serde_json::from_slice::<Value>(&response.body).ok()?.get("known")?.as_bool()
}

fn acks_url(url: &Url, name: &CredentialName) -> Option<Url> {
    let mut url = url.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(["v1", "credentials", name.as_str(), "acks"]);
    Some(url)
}
