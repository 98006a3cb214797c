//! From a request's JSON body to what it asks for, or to the 422 that the API version answers.
//!
//! Fields that an API version does not know are ignored, as the provider's framework ignores them.

use serde_json::{Map, Value};

use crate::domain::key::network;
use crate::sandbox::answer::Body;
use crate::sandbox::api_version::ApiVersion;
use crate::sandbox::refusal::{Complaint, Refusal};
use crate::sandbox::settings::{Change, Granted, KeyChange, Settings};

const ADDRESSES_MAX: usize = 100;

/// Reads the body of a create.
///
/// # Errors
/// `Unprocessable`, with every complaint at once.
pub fn new_key(api_version: ApiVersion, body: &Body) -> Result<Settings, Refusal> {
    let mut reader = Reader::new(api_version, body, Null::Keeps, false)?;
    let name = reader.name(true);
    let permissions = reader.permissions(true);
    let change = reader.limits(Null::Keeps);
    let settings = Settings::new(name.unwrap_or_default(), permissions.unwrap_or(Granted::Only(Vec::new())));
    let change = KeyChange { enabled: None, name: None, permissions: None, ..change };
    reader.finish(change.applied_to(&settings))
}

/// Reads the body of a PATCH.
///
/// # Errors
/// As of [`new_key`].
pub fn key_change(api_version: ApiVersion, body: &Body) -> Result<KeyChange, Refusal> {
    let all_required = api_version == ApiVersion::August2025;
    let mut reader = Reader::new(api_version, body, Null::IsWrong, !all_required)?;
    let enabled = reader.enabled(all_required);
    let name = reader.name(all_required);
    let permissions = reader.permissions(all_required);
    let limit_null = match api_version {
        ApiVersion::August2025 | ApiVersion::September2026 => Null::Clears,
        ApiVersion::November2026 => Null::IsWrong,
    };
    let mut change = KeyChange { enabled, name, permissions, ..reader.limits(limit_null) };
    if all_required && change.character_limit == Change::Keep {
        change.character_limit = Change::Clear;
    }
    reader.finish(change)
}

/// Reads a body of one name: that of a new service account.
///
/// # Errors
/// As of [`new_key`].
pub fn account_name(api_version: ApiVersion, body: &Body) -> Result<String, Refusal> {
    let mut reader = Reader::new(api_version, body, Null::IsWrong, false)?;
    let name = reader.name(true);
    reader.finish(name.unwrap_or_default())
}

/// What a JSON null means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Null {
    Keeps,
    Clears,
    IsWrong,
}

struct Reader<'a> {
    api_version: ApiVersion,
    fields: &'a Map<String, Value>,
    null: Null,
    sentinels: bool,
    complaints: Vec<Complaint>,
}

impl<'a> Reader<'a> {
    fn new(api_version: ApiVersion, body: &'a Body, null: Null, sentinels: bool) -> Result<Self, Refusal> {
        let fields = fields(body)?;
        Ok(Self { api_version, fields, null, sentinels, complaints: Vec::new() })
    }

    fn finish<T>(self, read: T) -> Result<T, Refusal> {
        if self.complaints.is_empty() { Ok(read) } else { Err(Refusal::Unprocessable(self.complaints)) }
    }

    fn complain(&mut self, field: &str, message: &str, kind: &'static str) {
        self.complaints.push(Complaint::about(field, message, kind));
    }

    fn require(&mut self, field: &str, required: bool) -> Option<&'a Value> {
        let value = self.fields.get(field);
        if value.is_none() && required {
            self.complain(field, "Field required", "missing");
        }
        value
    }

    fn name(&mut self, required: bool) -> Option<String> {
        let value = self.require("name", required)?;
        let name = value.as_str().map(str::to_owned);
        if name.is_none() && (required || !value.is_null()) {
            self.complain("name", "Input should be a valid string", "string_type");
        }
        name
    }

    fn enabled(&mut self, required: bool) -> Option<bool> {
        let value = self.require("is_enabled", required)?;
        if self.is_kept(value) {
            return None;
        }
        if value.as_bool().is_none() {
            self.complain("is_enabled", "Input should be a valid boolean", "bool_type");
        }
        value.as_bool()
    }

    fn is_kept(&self, value: &Value) -> bool {
        self.sentinels && value == "no_update"
    }

    fn permissions(&mut self, required: bool) -> Option<Granted> {
        let value = self.require("permissions", required)?;
        if self.is_kept(value) {
            return None;
        }
        if value == "all" {
            return Some(Granted::All);
        }
        let Some(names) = value.as_array() else {
            self.complain("permissions", "Input should be a valid list", "list_type");
            return None;
        };
        let known = |name: &&str| self.api_version.knows_permission(name);
        let read: Option<Vec<&str>> =
            names.iter().map(|name| name.as_str().filter(|name| known(name))).collect();
        if read.is_none() {
            self.complain("permissions", "Input should be a permission that exists", "enum");
        }
        read.map(|names| Granted::Only(names.into_iter().map(str::to_owned).collect()))
    }

    /// Every field but those of [`Self::enabled`], [`Self::name`] and [`Self::permissions`].
    fn limits(&mut self, character_limit_null: Null) -> KeyChange {
        let (api_version, positive) =
            (self.api_version, |value: &Value| value.as_i64().filter(|number| *number >= 0));
        let since = |first: ApiVersion| api_version >= first;
        let integer = ("Input should be a valid integer", "int_type");
        let usual = self.null;
        self.null = character_limit_null;
        let character_limit = self.change(true, "character_limit", integer, positive);
        self.null = usual;
        let newer = since(ApiVersion::November2026);
        KeyChange {
            enabled: None,
            name: None,
            permissions: None,
            character_limit,
            allowed_ips: self.change(
                since(ApiVersion::September2026),
                "allowed_ips",
                ("Input should be a list of 1 to 100 IP addresses or networks", "value_error"),
                addresses,
            ),
            third_party_disable_allowed: self.change(
                since(ApiVersion::September2026),
                "third_party_disable_allowed",
                ("Input should be a valid boolean", "bool_type"),
                Value::as_bool,
            ),
            tts_concurrency_limit: self.change(newer, "tts_concurrency_limit", integer, positive),
            dubbing_concurrency_limit: self.change(newer, "dubbing_concurrency_limit", integer, positive),
            music_concurrency_limit: self.change(newer, "music_concurrency_limit", integer, positive),
            expires_at: self.change(newer, "expires_at_unix", integer, positive),
        }
    }

    fn change<T>(
        &mut self,
        is_known: bool,
        field: &str,
        (message, kind): (&str, &'static str),
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Change<T> {
        let Some(value) = self.fields.get(field).filter(|_| is_known) else {
            return Change::Keep;
        };
        if value.is_null() && self.null != Null::IsWrong {
            return if self.null == Null::Clears { Change::Clear } else { Change::Keep };
        }
        if self.is_kept(value) {
            return Change::Keep;
        }
        if self.sentinels && value == "clear" {
            return Change::Clear;
        }
        read(value).map_or_else(
            || {
                self.complain(field, message, kind);
                Change::Keep
            },
            Change::Set,
        )
    }
}

/// The fields of a body that has to be an object.
///
/// # Errors
/// `Unprocessable`.
pub fn fields(body: &Body) -> Result<&Map<String, Value>, Refusal> {
    let (message, kind) = match body {
        Body::Json(Value::Object(fields)) => return Ok(fields),
        Body::Json(_) => {
            ("Input should be a valid dictionary or object to extract fields from", "model_attributes_type")
        }
        Body::None => ("Field required", "missing"),
        Body::Broken => ("JSON decode error", "json_invalid"),
    };
    let at = vec!["body".to_owned()];
    Err(Refusal::Unprocessable(vec![Complaint { at, message: message.to_owned(), kind }]))
}

/// Reads a list of addresses; each comes back with a prefix length, as the provider gives it back.
fn addresses(value: &Value) -> Option<Vec<String>> {
    let entries = value.as_array().filter(|entries| (1..=ADDRESSES_MAX).contains(&entries.len()))?;
    entries.iter().map(|entry| network(entry.as_str()?).map(|network| network.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_that_leaves_the_limit_out_clears_it_only_in_2025() {
        let body = Body::Json(json!({"is_enabled": false, "name": "n", "permissions": "all"}));
        let change = |api_version| key_change(api_version, &body).unwrap().character_limit;
        assert_eq!(change(ApiVersion::August2025), Change::Clear);
        assert_eq!(change(ApiVersion::September2026), Change::Keep);
        assert_eq!(change(ApiVersion::November2026), Change::Keep);
    }
}
