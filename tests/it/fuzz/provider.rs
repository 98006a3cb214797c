//! Any bytes as the provider's answer to any call: head, body and the end of the stream.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use rekeyd::adapters::elevenlabs::{ElevenLabs, Settings};
use rekeyd::domain::failure::Failure;
use rekeyd::domain::ids::{KeyId, ServiceAccountId};
use rekeyd::domain::key::{Key, KeyAttributes, KeyRequest, Permissions};
use rekeyd::domain::secret::SecretValue;
use rekeyd::ports::clock::Clock;
use rekeyd::ports::issuer::{AdminKey, Issuer};
use rekeyd::ports::usage::UsageSource;

use super::speaker::speaker;
use super::waiting::runtime;

const ADMIN: &str = "sk_ad3113ad3113ad3113ad3113ad3113ad3113ad3113ad3113";
const NEW: &str = "sk_5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e7";
const NOW: &str = "2026-11-23T12:00:00Z";

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

/// The first byte says what is asked for, the rest is the answer.
///
/// # Panics
/// If a key's value can be seen in what is said of the answer.
pub(crate) fn eat(bytes: &[u8]) {
    let Some((call, answer)) = bytes.split_first() else { return };
    speaker().says(answer);
    runtime().block_on(async {
        let patience = Duration::from_secs(5);
        if tokio::time::timeout(patience, ask(*call)).await.is_err() {
            panic!("an answer that ended was waited for");
        }
    });
}

async fn ask(call: u8) {
    let issuer = ElevenLabs::new(Settings {
        base_url: format!("http://{}", speaker().address),
        admin_key: AdminKey::new(value(ADMIN)),
        request_timeout: Duration::from_secs(2),
        in_flight: 1.try_into().unwrap(),
        requests_per_second: None,
        ca_pem: None,
        clock: Arc::new(StoppedClock),
    })
    .unwrap();
    let account = ServiceAccountId::new("sa1").unwrap();
    match call % 9 {
        0 => tells_no_secret(issuer.inventory().await.err()),
        1 => {
            let request = KeyRequest { attributes: KeyAttributes::of(Permissions::All), expires_at: None };
            match issuer.create(&account, "tts rk-1", &request).await {
                Ok(minted) => assert!(!minted.value.expose().is_empty(), "a key without a value"),
                Err(failure) => tells_no_secret(Some(failure)),
            }
        }
        2 => tells_no_secret(issuer.authenticate(&value(NEW)).await.err()),
        3 => tells_no_secret(issuer.prove_admin(&value(NEW)).await.err()),
        4 => tells_no_secret(issuer.disable(&key(&account)).await.err()),
        5 => tells_no_secret(issuer.enable(&key(&account)).await.err()),
        6 => tells_no_secret(issuer.set_expiry(&key(&account), None).await.err()),
        7 => tells_no_secret(issuer.delete(&key(&account)).await.err()),
        _ => {
            let since = "2026-11-22T12:00:00Z".parse().unwrap();
            let told = issuer.usage(&[key(&account)], &[], since).await;
            is_clean(&format!("{told:?}"));
        }
    }
}

fn tells_no_secret(failure: Option<Failure>) {
    if let Some(failure) = failure {
        is_clean(&format!("{failure} {failure:?}"));
    }
}

fn is_clean(told: &str) {
    for secret in [ADMIN, NEW] {
        assert!(!told.contains(&secret[3..15]), "a piece of a key's value is told");
    }
}

fn value(text: &str) -> SecretValue {
    SecretValue::new(text.to_owned()).unwrap()
}

fn key(account: &ServiceAccountId) -> Key {
    Key {
        id: KeyId::new("k1").unwrap(),
        account: account.clone(),
        name: "tts".to_owned(),
        hint: String::new(),
        created_at: None,
        enabled: true,
        disable_reason: None,
        attributes: KeyAttributes::of(Permissions::Unlisted),
        expires_at: None,
        usage_hash: Some("0123abcd".to_owned()),
        character_count: None,
    }
}
