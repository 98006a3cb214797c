//! The real adapter against the real sandbox: what one says, the other understands, in every version of the API.

#![expect(clippy::unwrap_used, reason = "what stands between tests fails by panicking too")]

mod accounts;
mod faults;
mod fidelity;
mod life;
mod usage;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::adapters::elevenlabs::{ElevenLabs, Settings};
use rekeyd::domain::failure::{Certainty, Failure, Kind};
use rekeyd::domain::ids::ServiceAccountId;
use rekeyd::domain::key::{Key, KeyAttributes, KeyRequest, Permissions};
use rekeyd::domain::secret::SecretValue;
use rekeyd::ports::clock::Clock as _;
use rekeyd::ports::issuer::{AdminKey, Issuer as _, Minted};
use rekeyd::sandbox::api_version::ApiVersion;
use rekeyd::sandbox::route::Route;
use rekeyd::sandbox::rules::Rules;
use rekeyd::sandbox::server::{Options, Sandbox};

const API_VERSIONS: [ApiVersion; 3] =
    [ApiVersion::August2025, ApiVersion::September2026, ApiVersion::November2026];

/// A sandbox with one service account, and the adapter that talks to it.
struct Harness {
    sandbox: Sandbox,
    issuer: ElevenLabs,
    account: ServiceAccountId,
}

impl Harness {
    async fn start(rules: Rules) -> Self {
        Self::patient(rules, Duration::from_secs(5)).await
    }

    async fn with_api_version(api_version: ApiVersion) -> Self {
        Self::start(Rules { api_version, ..Rules::default() }).await
    }

    async fn patient(rules: Rules, request_timeout: Duration) -> Self {
        let options = Options { seed: Some(1), rules, ..Options::new(Arc::new(SystemClock)) };
        let sandbox = Sandbox::start(options).await.unwrap();
        let account = sandbox.workspace().create_account("tts-backend", SystemClock.now());
        let issuer = ElevenLabs::new(Settings {
            base_url: sandbox.base_url(),
            admin_key: AdminKey::new(SecretValue::new(sandbox.admin_key()).unwrap()),
            request_timeout,
            in_flight: NonZeroUsize::new(2).unwrap(),
            requests_per_second: None,
            ca_pem: None,
            clock: Arc::new(SystemClock),
        })
        .unwrap();
        Self { sandbox, issuer, account: ServiceAccountId::new(account).unwrap() }
    }

    async fn create(&self, request: &KeyRequest) -> Minted {
        self.issuer.create(&self.account, "tts rk-1", request).await.unwrap()
    }

    /// The keys of the account, as the adapter lists them.
    async fn listed(&self) -> Vec<Key> {
        self.issuer.inventory().await.unwrap().account(&self.account).unwrap().keys.clone()
    }

    async fn the_key(&self) -> Key {
        let mut keys = self.listed().await;
        assert_eq!(keys.len(), 1, "{keys:?}");
        keys.remove(0)
    }

    fn calls(&self, route: Route) -> u64 {
        self.sandbox.truth().requests.get(&route).copied().unwrap_or(0)
    }
}

fn only(names: &[&str]) -> Permissions {
    Permissions::Only(names.iter().map(|&name| name.to_owned()).collect())
}

fn plain() -> KeyRequest {
    KeyRequest { attributes: KeyAttributes::of(only(&["text_to_speech"])), expires_at: None }
}

fn judged<T>(outcome: &Result<T, Failure>) -> Option<(Certainty, Kind)> {
    outcome.as_ref().err().map(|failure| (failure.certainty, failure.kind))
}

/// Until `done` says so, for ten seconds at most.
async fn eventually<F: Future<Output = bool>>(what: &str, done: impl Fn() -> F) {
    let begun = Instant::now();
    while !done().await {
        assert!(begun.elapsed() < Duration::from_secs(10), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
