//! Creates a key: the call is sent once, and the value is taken from the response at once.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::adapters::elevenlabs::ElevenLabs;
use crate::adapters::elevenlabs::routes::is_one_segment;
use crate::adapters::elevenlabs::transport::{BODY_BYTES_MAX, Call, Mutability};
use crate::domain::failure::{Certainty, Failure, Kind};
use crate::domain::ids::{KeyId, ServiceAccountId};
use crate::domain::key::{KeyAttributes, KeyRequest, Permissions};
use crate::domain::secret::SecretValue;
use crate::ports::issuer::Minted;

/// A listing may lag behind a creation.
const LOOKS_FOR_A_NEW_KEY: u32 = 3;
const BETWEEN_LOOKS: Duration = Duration::from_secs(1);

impl ElevenLabs {
    pub(super) async fn create_key(
        &self,
        account: &ServiceAccountId,
        name: &str,
        request: &KeyRequest,
    ) -> Result<Minted, Failure> {
        let attempt = format!("creating key `{name}` in service account `{account}`");
        let url = self.routes.keys(account.as_str());
        let call = Call {
            body: Some(Value::Object(body(name, request))),
            fresh: true,
            ..Call::new(attempt, Mutability::Mutating, Method::POST, url)
        };
        if !is_one_segment(account.as_str()) {
            let why = "not sent: the service account's id cannot stand in an address";
            return Err(self.transport.failure(&call, Certainty::Rejected, Kind::Invalid, why));
        }
        let (value, key) = self.ask_for_key(&call).await?;
        let key = match key {
            Some(key) => key,
            None => self.find_new_key(&call, account, name).await?,
        };
        Ok(Minted { key, value })
    }

    /// From here on every failure means that there may be a key whose value is lost.
    async fn ask_for_key(&self, call: &Call<'_>) -> Result<(SecretValue, Option<KeyId>), Failure> {
        let mut accepted = self.transport.ask(call).await?;
        // Of its final size from the start: a buffer that grows would leave copies behind.
        let mut body = Zeroizing::new(Vec::with_capacity(BODY_BYTES_MAX));
        let whole = accepted.read(BODY_BYTES_MAX, &mut body).await;
        let with_id = |failure| Failure { request_id: accepted.request_id.clone(), ..failure };
        whole.map_err(|shortfall| with_id(self.transport.cut_short(call, &shortfall)))?;
        // The parser's own text would quote what it dislikes.
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| {
            with_id(self.transport.senseless(call, "the answer holds no key that can be used"))
        })?;
        let key = answer.key_id.as_ref().and_then(Value::as_str).and_then(|id| KeyId::new(id).ok());
        Ok((answer.value.0, key.filter(|key| is_one_segment(key.as_str()))))
    }

    /// The answers of 2025 do not tell the new key's id: its name does.
    async fn find_new_key(
        &self,
        call: &Call<'_>,
        account: &ServiceAccountId,
        name: &str,
    ) -> Result<KeyId, Failure> {
        let lost = |kind, why: &str| {
            let why = format!("it was created, but its id was not told and {why}: its value is given up");
            self.transport.failure(call, Certainty::Unknown, kind, &why)
        };
        for look in 1..=LOOKS_FOR_A_NEW_KEY {
            if look > 1 {
                tokio::time::sleep(BETWEEN_LOOKS).await;
            }
            let keys = self
                .list_account(account)
                .await
                .map_err(|failure| lost(failure.kind, &format!("could not be listed ({failure})")))?;
            let mut named = keys.into_iter().filter(|key| key.name == name);
            match (named.next(), named.next()) {
                (Some(key), None) => return Ok(key.id),
                (Some(_), Some(_)) => return Err(lost(Kind::Garbled, "several keys have its name")),
                (None, _) => {}
            }
        }
        Err(lost(Kind::Garbled, "no key of its name is listed"))
    }
}

#[derive(serde::Deserialize)]
struct Answer {
    #[serde(rename = "xi-api-key", alias = "xi_api_key")]
    value: Custody,
    /// Of any type: an id that makes no sense must not cost the value.
    #[serde(default, alias = "key-id")]
    key_id: Option<Value>,
}

/// A value taken straight from the answer's buffer.
struct Custody(SecretValue);

impl<'de> Deserialize<'de> for Custody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Custody;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key's value")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Custody, E> {
                SecretValue::new(text.to_owned()).map(Custody).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A limit is named and written as the listing names and writes it. One that is not set is left out: what null does is
/// not specified everywhere.
fn body(name: &str, request: &KeyRequest) -> Map<String, Value> {
    let KeyRequest { attributes: KeyAttributes { permissions, limits }, expires_at } = request;
    let own = [
        ("name", Some(Value::from(name))),
        ("permissions", Some(permissions_sent(permissions))),
        ("expires_at_unix", expires_at.map(|at| Value::from(at.as_second()))),
    ];
    let limits = limits.iter().map(|(name, value)| (name.clone(), value.clone()));
    own.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?))).chain(limits).collect()
}

/// Unlisted permissions can only be asked for as `"all"`.
pub(super) fn permissions_sent(permissions: &Permissions) -> Value {
    match permissions {
        Permissions::Unlisted | Permissions::All => Value::from("all"),
        Permissions::Only(names) => names.iter().map(|name| Value::from(name.as_str())).collect(),
    }
}
