//! What a workspace shows of itself, for somebody who wants to know before relying on it. Changes nothing.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;

use crate::adapters::elevenlabs::ElevenLabs;
use crate::adapters::elevenlabs::transport::{BODY_BYTES_MAX, Call, Mutability};
use crate::domain::failure::Failure;

impl ElevenLabs {
    /// The names of the fields that keys are listed with: by them a deployment shows which protections it knows. Empty
    /// if there is no key.
    ///
    /// # Errors
    /// As of a listing.
    pub async fn key_fields(&self) -> Result<BTreeSet<String>, Failure> {
        let attempt = "listing what keys are listed with".to_owned();
        let call = Call::new(attempt, Mutability::ReadOnly, Method::GET, self.routes.service_accounts());
        let (listed, _) = self.fetch::<Value>(&call).await?;
        let either = |value: &Value, names: [&str; 2]| {
            names.iter().find_map(|name| value.get(name)?.as_array().cloned()).unwrap_or_default()
        };
        let accounts = either(&listed, ["service-accounts", "service_accounts"]);
        let keys = accounts.iter().flat_map(|account| either(account, ["api-keys", "api_keys"]));
        Ok(keys
            .filter_map(|key| Some(key.as_object()?.keys().cloned().collect::<Vec<_>>()))
            .flatten()
            .collect())
    }

    /// Reads one entry of the workspace's audit log, to see whether the admin key may.
    ///
    /// # Errors
    /// It may not, or the workspace has none.
    pub async fn try_audit_log(&self) -> Result<(), Failure> {
        let mut url = self.routes.audit_log();
        url.set_query(Some("limit=1"));
        let call = Call::new("reading the audit log".to_owned(), Mutability::ReadOnly, Method::GET, url);
        let mut accepted = self.transport.ask(&call).await?;
        let read = accepted.read(BODY_BYTES_MAX, &mut Vec::new()).await;
        read.map_err(|shortfall| self.transport.cut_short(&call, &shortfall))
    }
}
