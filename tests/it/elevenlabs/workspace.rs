//! An adapter that talks to a given server, and the keys and requests that the tests use.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rekeyd::adapters::elevenlabs::{ElevenLabs, Settings};
use rekeyd::domain::failure::{Certainty, Failure, Kind};
use rekeyd::domain::ids::{KeyId, ServiceAccountId};
use rekeyd::domain::key::{Key, KeyAttributes, KeyRequest, Permissions};
use rekeyd::domain::secret::SecretValue;
use rekeyd::domain::sharing::SharingGroups;
use rekeyd::ports::clock::Clock;
use rekeyd::ports::issuer::{AdminKey, Issuer};

pub(crate) const ADMIN: &str = "sk_ad3113ad3113ad3113ad3113ad3113ad3113ad3113ad3113";
pub(crate) const VALUE: &str = "sk_5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7";
pub(crate) const NOW: &str = "2026-11-23T12:00:00Z";

struct StoppedClock;

#[async_trait]
impl Clock for StoppedClock {
    fn now(&self) -> Timestamp {
        NOW.parse().unwrap()
    }
    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
    fn steps(&self) -> u64 {
        0
    }
    async fn sleep(&self, _: SignedDuration) {}
}

pub(crate) fn settings(url: &str) -> Settings {
    Settings {
        base_url: url.to_owned(),
        admin_key: AdminKey::new(value(ADMIN)),
        request_timeout: Duration::from_secs(20),
        in_flight: NonZeroUsize::new(1).unwrap(),
        requests_per_second: None,
        ca_pem: None,
        clock: Arc::new(StoppedClock),
    }
}

pub(crate) fn issuer(url: &str) -> ElevenLabs {
    ElevenLabs::new(settings(url)).unwrap()
}

pub(crate) fn impatient(url: &str, request_timeout: Duration) -> ElevenLabs {
    ElevenLabs::new(Settings { request_timeout, ..settings(url) }).unwrap()
}

pub(crate) fn value(text: &str) -> SecretValue {
    SecretValue::new(text.to_owned()).unwrap()
}

pub(crate) fn account() -> ServiceAccountId {
    ServiceAccountId::new("sa1").unwrap()
}

pub(crate) fn key() -> Key {
    Key {
        id: KeyId::new("k1").unwrap(),
        account: account(),
        name: "tts".to_owned(),
        hint: String::new(),
        created_at: None,
        enabled: true,
        disable_reason: None,
        attributes: KeyAttributes::of(Permissions::Unlisted),
        expires_at: None,
        usage_hash: None,
        character_count: None,
    }
}

pub(crate) fn request() -> KeyRequest {
    KeyRequest { attributes: KeyAttributes::of(Permissions::All), expires_at: None }
}

/// Every call of the port; what it answers is reduced to how it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Inventory,
    CreateAccount,
    Create,
    Authenticate,
    Disable,
    Enable,
    Delete,
}

impl Method {
    pub(crate) const ALL: [Self; 7] = [
        Self::Inventory,
        Self::CreateAccount,
        Self::Create,
        Self::Authenticate,
        Self::Disable,
        Self::Enable,
        Self::Delete,
    ];

    pub(crate) fn lasts(self) -> bool {
        !matches!(self, Self::Inventory | Self::Authenticate)
    }

    pub(crate) async fn call(self, issuer: &ElevenLabs) -> Result<(), Failure> {
        match self {
            Self::Inventory => issuer.inventory().await.map(drop),
            Self::CreateAccount => issuer.create_account("tts", &SharingGroups::default()).await.map(drop),
            Self::Create => issuer.create(&account(), "tts rk-1", &request()).await.map(drop),
            Self::Authenticate => issuer.authenticate(&value(VALUE)).await,
            Self::Disable => issuer.disable(&key()).await,
            Self::Enable => issuer.enable(&key()).await,
            Self::Delete => issuer.delete(&key()).await,
        }
    }

    /// What is certain when the answer is lost.
    pub(crate) fn lost(self) -> Certainty {
        if self.lasts() { Certainty::Unknown } else { Certainty::Rejected }
    }
}

pub(crate) fn outcome(result: &Result<(), Failure>) -> Option<(Certainty, Kind)> {
    result.as_ref().err().map(|failure| (failure.certainty, failure.kind))
}
