//! The sandbox against a plain HTTP client: what it answers, how it fails, and what it knows.

#![expect(clippy::unwrap_used, reason = "what these tests are built on fails by panicking")]

mod analytics;
mod cli;
mod control;
mod errors;
mod faults;
mod lags;
mod shapes;
mod work;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rekeyd::ports::clock::Clock;
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::rules::Rules;
use rekeyd::sandbox::server::{Options, Sandbox};
use reqwest::Method;
use serde_json::{Value, json};

/// A clock that a test moves by hand.
struct HandClock(Mutex<Timestamp>);

#[async_trait]
impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn uptime(&self) -> Duration {
        self.now().duration_since(Timestamp::UNIX_EPOCH).unsigned_abs()
    }

    fn steps(&self) -> u64 {
        0
    }

    async fn sleep(&self, lasts: SignedDuration) {
        let until = self.now() + lasts;
        while self.now() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A sandbox with one service account, a client, and the hand on the clock.
struct Harness {
    sandbox: Sandbox,
    clock: Arc<HandClock>,
    http: reqwest::Client,
    admin: String,
    account: String,
}

/// What came back: everything that a client can see.
struct Seen {
    status: u16,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    fn code(&self) -> &str {
        self.body["detail"]["code"].as_str().unwrap_or("")
    }
}

/// A key as a caller of create sees it.
#[derive(Clone)]
struct NewKey {
    id: String,
    value: String,
}

impl Harness {
    async fn start(rules: Rules) -> Self {
        let start: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let clock = Arc::new(HandClock(Mutex::new(start)));
        let shared: Arc<dyn Clock> = Arc::<HandClock>::clone(&clock);
        let options = Options { seed: Some(1), rules, ..Options::new(shared) };
        let sandbox = Sandbox::start(options).await.unwrap();
        let admin = sandbox.admin_key();
        let account = sandbox.workspace().create_account("tts-backend", start);
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        Self { sandbox, clock, http, admin, account }
    }

    async fn with_api_version(api_version: ApiVersion) -> Self {
        Self::start(Rules { api_version, ..Rules::default() }).await
    }

    fn pass(&self, seconds: i64) {
        *self.clock.0.lock().unwrap() += SignedDuration::from_secs(seconds);
    }

    fn request(&self, method: Method, path: &str, key: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.sandbox.base_url())).header("xi-api-key", key)
    }

    /// A call with the admin key; a null body sends none.
    async fn call(&self, method: Method, path: &str, body: Value) -> Seen {
        let request = self.request(method, path, &self.admin);
        seen(if body.is_null() { request } else { request.json(&body) }).await
    }

    fn keys_path(&self) -> String {
        format!("/v1/service-accounts/{}/api-keys", self.account)
    }

    fn key_path(&self, key: &NewKey) -> String {
        format!("{}/{}", self.keys_path(), key.id)
    }

    /// Makes a key over the API; its id comes from the truth, because not every API version says it.
    async fn create(&self, body: Value) -> NewKey {
        let made = self.call(Method::POST, &self.keys_path(), body).await;
        assert_eq!(made.status, 200, "{}", made.body);
        let value = made.body["xi-api-key"].as_str().unwrap().to_owned();
        let id = self.sandbox.truth().accounts[0].keys.last().unwrap().key_id.clone();
        NewKey { id, value }
    }

    async fn create_named(&self, name: &str) -> NewKey {
        self.create(json!({"name": name, "permissions": "all"})).await
    }

    async fn patch(&self, key: &NewKey, body: Value) -> Seen {
        self.call(Method::PATCH, &self.key_path(key), body).await
    }

    /// The listed keys of the account.
    async fn listed(&self) -> Vec<Value> {
        let listing = self.call(Method::GET, &self.keys_path(), Value::Null).await;
        assert_eq!(listing.status, 200, "{}", listing.body);
        listing.body["api-keys"].as_array().unwrap().clone()
    }

    async fn listed_names(&self) -> Vec<String> {
        self.listed().await.iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
    }

    async fn user(&self, key: &str) -> Seen {
        seen(self.request(Method::GET, "/v1/user", key)).await
    }

    async fn speak(&self, key: &str, text: &str) -> Seen {
        seen(self.request(Method::POST, "/v1/text-to-speech/rachel", key).json(&json!({"text": text}))).await
    }
}

/// Sends it; a body that is not JSON is shown as null.
async fn seen(request: reqwest::RequestBuilder) -> Seen {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    Seen { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

fn fields(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}
