//! Acknowledges to rekeyd which keys are in use: at once when that changes, again and again while it does not, and for
//! as long as it takes when rekeyd is down.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::agent::Error;
use crate::agent::backoff;
use crate::agent::http_client::{HttpClient, HttpRequest, Response, TlsFiles};
use crate::agent::supervisor::{Word, Words};
use crate::config::agent::RekeydConfig;
use crate::config_file::environment::Environment;
use crate::domain::ids::CredentialName;

const CALL: Duration = Duration::from_secs(10);
const AGAIN_FIRST: Duration = Duration::from_secs(1);
const AGAIN_MOST: Duration = Duration::from_secs(60);
/// When there is nothing to say.
const IDLE: Duration = Duration::from_secs(3600);

pub(super) struct AckReporter {
    rekeyd: RekeydConfig,
    environment: Box<dyn Environment>,
    courier: HttpClient,
    said: BTreeMap<CredentialName, Said>,
}

/// What was last said of a credential, heard or not.
struct Said {
    word: Word,
    failures: u32,
    /// When it is said again.
    next: Instant,
}

impl AckReporter {
    /// # Errors
    /// The authorities to trust cannot be read.
    pub(super) fn new(rekeyd: RekeydConfig, environment: Box<dyn Environment>) -> Result<Self, Error> {
        let papers = TlsFiles { ca_file: rekeyd.ca_file.clone(), identity: rekeyd.identity.clone() };
        let courier = HttpClient::to(&rekeyd.url, papers)?;
        Ok(Self { rekeyd, environment, courier, said: BTreeMap::new() })
    }

    /// Goes on for ever. What was being said when this was cancelled is said again.
    pub(super) async fn run(&mut self, words: &mut watch::Receiver<Words>) {
        loop {
            let wanted = words.borrow_and_update().clone();
            self.say_what_is_due(&wanted).await;
            let next = self.said.values().map(|said| said.next).min();
            let next = next.unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                changed = words.changed() => {
                    if changed.is_err() {
                        return;
                    }
                }
                () = sleep_until(next) => {}
            }
        }
    }

    /// Says what has not been heard yet, once.
    pub(super) async fn speak_once(&mut self, words: &watch::Receiver<Words>) {
        let wanted = words.borrow().clone();
        self.say_what_is_due(&wanted).await;
    }

    async fn say_what_is_due(&mut self, wanted: &Words) {
        self.courier.renew();
        self.said.retain(|name, _| wanted.contains_key(name));
        for (name, word) in wanted {
            let (is_same, failures) = match self.said.get(name) {
                Some(said) if said.word == *word && said.next > Instant::now() => continue,
                Some(said) => (said.word == *word, said.failures),
                None => (false, 0),
            };
            let outcome = self.say(name, word).await;
            let (failures, wait) = match &outcome {
                Ok(()) => (0, backoff::jittered(self.rekeyd.heartbeat)),
                Err(_) => {
                    let failures = if is_same { failures.saturating_add(1) } else { 1 };
                    (failures, backoff::after(failures, AGAIN_FIRST, AGAIN_MOST))
                }
            };
            let (fingerprint, status) = (&word.fingerprint, word.status.label());
            match outcome {
                Ok(()) if is_same && self.said.get(name).is_some_and(|said| said.failures == 0) => {
                    tracing::debug!(credential = %name, %fingerprint, status, "said again to rekeyd");
                }
                Ok(()) => tracing::info!(credential = %name, %fingerprint, status, "acknowledged to rekeyd"),
                Err(why) if backoff::is_said(failures) => {
                    tracing::warn!(credential = %name, %fingerprint, status, failures, why,
                        "rekeyd has not heard it yet; it is said again");
                }
                Err(_) => {}
            }
            let said = Said { word: word.clone(), failures, next: Instant::now() + wait };
            self.said.insert(name.clone(), said);
        }
    }

    async fn say(&self, name: &CredentialName, word: &Word) -> Result<(), String> {
        // Read each time: a token that was replaced is used from then on.
        let token = self.rekeyd.token.as_ref().map(|token| token.read(&*self.environment)).transpose();
        let token = token.map_err(|unreadable| match std::error::Error::source(&unreadable) {
            Some(cause) => format!("{unreadable}: {cause}"),
            None => unreadable.to_string(),
        })?;
        let url = place(&self.rekeyd.url, name).ok_or("no path can follow its URL")?;
        let body = json!({
            "consumer": self.rekeyd.consumer,
            "fingerprint": word.fingerprint,
            "status": word.status.label(),
        });
        let parcel = HttpRequest {
            method: Method::POST,
            url: &url,
            token: token.as_ref(),
            body: Some(&body),
            limit: CALL,
        };
        let reply = self.courier.carry(parcel).await?;
        if reply.status.is_success() {
            if known(&reply) == Some(false) {
                tracing::warn!(credential = %name, fingerprint = %word.fingerprint,
                    "rekeyd does not know this key: is it read where rekeyd publishes it?");
            }
            return Ok(());
        }
        let advice = match reply.status {
            StatusCode::UNAUTHORIZED => {
                ": is the token, or the name in the certificate, the one in `consumers` of its policy?"
            }
            StatusCode::FORBIDDEN => ": does `wait_for.acks` of the credential name this consumer?",
            StatusCode::NOT_FOUND => ": is the secret named like the credential?",
            _ => "",
        };
        Err(format!("it answered with {}{advice}", reply.status))
    }
}

fn known(reply: &Response) -> Option<bool> {
    serde_json::from_slice::<Value>(&reply.body).ok()?.get("known")?.as_bool()
}

fn place(url: &Url, name: &CredentialName) -> Option<Url> {
    let mut url = url.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(["v1", "credentials", name.as_str(), "acks"]);
    Some(url)
}
