//! Disables, enables and deletes a key, in whichever shape the deployment knows.
//!
//! Nothing is read from an answer that says 2xx: what its body is, is not specified, and callers read back.

use std::sync::atomic::Ordering;

use jiff::Timestamp;
use reqwest::{Method, Url};
use serde_json::{Map, Value};

use crate::adapters::elevenlabs::ElevenLabs;
use crate::adapters::elevenlabs::classify::Meaning;
use crate::adapters::elevenlabs::creation::permissions_sent;
use crate::adapters::elevenlabs::routes::is_one_segment;
use crate::adapters::elevenlabs::transport::{Call, Mutability, Reply};
use crate::domain::failure::{Certainty, Failure, Kind};
use crate::domain::key::Key;

impl ElevenLabs {
    pub(super) async fn disable_key(&self, key: &Key) -> Result<(), Failure> {
        if self.without_disable_route.load(Ordering::Relaxed) {
            return self.set_enabled(key, false).await;
        }
        let url = self.routes.disable(key.account.as_str(), key.id.as_str());
        let call = on_key("disabling", key, Method::POST, url);
        self.check_addressable(&call, key)?;
        match self.transport.send(&call).await? {
            Reply::Accepted(_) => Ok(()),
            Reply::Refused(refusal) if refusal.meaning() == Meaning::NoSuchRoute => {
                self.without_disable_route.store(true, Ordering::Relaxed);
                self.set_enabled(key, false).await
            }
            Reply::Refused(refusal) => Err(self.transport.refused(&call, &refusal)),
        }
    }

    pub(super) async fn enable_key(&self, key: &Key) -> Result<(), Failure> {
        self.set_enabled(key, true).await
    }

    pub(super) async fn delete_key(&self, key: &Key) -> Result<(), Failure> {
        let url = self.routes.key(key.account.as_str(), key.id.as_str());
        let call = on_key("deleting", key, Method::DELETE, url);
        self.check_addressable(&call, key)?;
        match self.transport.send(&call).await? {
            Reply::Accepted(_) => Ok(()),
            Reply::Refused(refusal) if refusal.meaning() == Meaning::NoSuchThing => Ok(()),
            Reply::Refused(refusal) => Err(self.transport.refused(&call, &refusal)),
        }
    }

    /// What is left out of a change stays as it is. The deployments of 2025 refuse that: there, and only after such
    /// a refusal, the whole of what they know is sent again as it was listed.
    async fn set_enabled(&self, key: &Key, enabled: bool) -> Result<(), Failure> {
        let url = self.routes.key(key.account.as_str(), key.id.as_str());
        let attempt = if enabled { "enabling" } else { "disabling" };
        let mut call = on_key(attempt, key, Method::PATCH, url);
        self.check_addressable(&call, key)?;
        let mut change = Map::new();
        change.insert("is_enabled".to_owned(), Value::Bool(enabled));
        call.body = Some(Value::Object(change.clone()));
        match self.transport.send(&call).await? {
            Reply::Accepted(_) => return Ok(()),
            Reply::Refused(refusal) if wants_every_field(&refusal.missing) => {}
            Reply::Refused(refusal) => return Err(self.transport.refused(&call, &refusal)),
        }
        change.insert("name".to_owned(), Value::String(key.name.clone()));
        change.insert("permissions".to_owned(), permissions_sent(&key.attributes.permissions));
        if let Some(limit) = key.attributes.limits.get("character_limit") {
            // Left out, it would be cleared.
            change.insert("character_limit".to_owned(), limit.clone());
        }
        call.body = Some(Value::Object(change));
        self.transport.ask(&call).await.map(drop)
    }

    /// Known to deployments of November 2026 and later: earlier ones refuse or ignore it, which a listing tells.
    pub(super) async fn set_key_expiry(&self, key: &Key, at: Option<Timestamp>) -> Result<(), Failure> {
        let url = self.routes.key(key.account.as_str(), key.id.as_str());
        let attempt = if at.is_some() { "setting the expiry of" } else { "clearing the expiry of" };
        let mut call = on_key(attempt, key, Method::PATCH, url);
        self.check_addressable(&call, key)?;
        let value = at.map_or_else(|| Value::from("clear"), |at| Value::from(at.as_second()));
        call.body = Some(Value::Object(Map::from_iter([("expires_at_unix".to_owned(), value)])));
        self.transport.ask(&call).await.map(drop)
    }

    fn check_addressable(&self, call: &Call<'_>, key: &Key) -> Result<(), Failure> {
        if is_one_segment(key.id.as_str()) && is_one_segment(key.account.as_str()) {
            return Ok(());
        }
        let why = "not sent: its id, or its service account's, cannot stand in an address";
        Err(self.transport.failure(call, Certainty::Rejected, Kind::Invalid, why))
    }
}

fn wants_every_field(missing: &[String]) -> bool {
    missing.iter().any(|field| field == "name" || field == "permissions")
}

fn on_key(attempt: &str, key: &Key, method: Method, url: Url) -> Call<'static> {
    let attempt = format!("{attempt} key `{}` of service account `{}`", key.id, key.account);
    Call::new(attempt, Mutability::Mutating, method, url)
}
