//! From a request's JSON body to what it asks for, or to the 422 that the API version answers.
//!
//! Fields that an API version does not know are ignored, as the provider's framework ignores them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::key::network;
use crate::domain::sharing::{ROLES, SharingGroups};
use crate::sandbox::answer::Body;
use crate::sandbox::api_version::ApiVersion;
use crate::sandbox::refusal::{Complaint, Refusal};
use crate::sandbox::settings::{
    ALLOWED_IPS, CHARACTER_LIMIT, EXPIRY, Granted, KeyChange, Settings, THIRD_PARTY_DISABLING,
};

const ADDRESSES_MAX: usize = 100;

/// A field with the API version in which it appeared, what is said of a value that it cannot have, and how it is read.
type Field = (&'static str, ApiVersion, (&'static str, &'static str), fn(&Value) -> Option<Value>);

const INTEGER: (&str, &str) = ("Input should be a valid integer", "int_type");
const BOOLEAN: (&str, &str) = ("Input should be a valid boolean", "bool_type");
const NETWORKS: (&str, &str) = ("Input should be a list of 1 to 100 IP addresses or networks", "value_error");
/// Every field of a key but those that each key has, in the order in which they are complained about.
const FIELDS: [Field; 7] = [
    (CHARACTER_LIMIT, ApiVersion::August2025, INTEGER, positive),
    (ALLOWED_IPS, ApiVersion::September2026, NETWORKS, addresses),
    (THIRD_PARTY_DISABLING, ApiVersion::September2026, BOOLEAN, boolean),
    ("tts_concurrency_limit", ApiVersion::November2026, INTEGER, positive),
    ("dubbing_concurrency_limit", ApiVersion::November2026, INTEGER, positive),
    ("music_concurrency_limit", ApiVersion::November2026, INTEGER, positive),
    (EXPIRY, ApiVersion::November2026, INTEGER, positive),
];

/// Reads the body of a create.
///
/// # Errors
/// `Unprocessable`, with every complaint at once.
pub fn new_key(api_version: ApiVersion, body: &Body) -> Result<Settings, Refusal> {
    let mut reader = Reader::new(api_version, body, false)?;
    let name = reader.name(true).unwrap_or_default();
    let permissions = reader.permissions(true).unwrap_or(Granted::Only(Vec::new()));
    let fields = reader.limits(Null::Keeps, Null::Keeps);
    let mut settings = Settings::new(name, permissions);
    KeyChange { enabled: None, name: None, permissions: None, fields }.apply(&mut settings);
    reader.finish(settings)
}

/// Reads the body of a PATCH.
///
/// # Errors
/// As of [`new_key`].
pub fn key_change(api_version: ApiVersion, body: &Body) -> Result<KeyChange, Refusal> {
    let all_required = api_version == ApiVersion::August2025;
    let mut reader = Reader::new(api_version, body, !all_required)?;
    let enabled = reader.enabled(all_required);
    let name = reader.name(all_required);
    let permissions = reader.permissions(all_required);
    let limit_null = match api_version {
        ApiVersion::August2025 | ApiVersion::September2026 => Null::Clears,
        ApiVersion::November2026 => Null::IsWrong,
    };
    let mut fields = reader.limits(Null::IsWrong, limit_null);
    if all_required {
        fields.entry(CHARACTER_LIMIT).or_insert(None);
    }
    reader.finish(KeyChange { enabled, name, permissions, fields })
}

/// Reads the body of a new service account: its name and its sharing groups.
///
/// # Errors
/// As of [`new_key`].
pub fn new_account(api_version: ApiVersion, body: &Body) -> Result<(String, SharingGroups), Refusal> {
    let mut reader = Reader::new(api_version, body, false)?;
    let name = reader.name(true);
    let groups = reader.groups(false);
    reader.finish((name.unwrap_or_default(), groups))
}

/// Reads the sharing groups that a person gives to a service account.
///
/// # Errors
/// As of [`new_key`].
pub fn account_groups(api_version: ApiVersion, body: &Body) -> Result<SharingGroups, Refusal> {
    let mut reader = Reader::new(api_version, body, false)?;
    let groups = reader.groups(true);
    reader.finish(groups)
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
    sentinels: bool,
    complaints: Vec<Complaint>,
}

impl<'a> Reader<'a> {
    fn new(api_version: ApiVersion, body: &'a Body, sentinels: bool) -> Result<Self, Refusal> {
        let fields = fields(body)?;
        Ok(Self { api_version, fields, sentinels, complaints: Vec::new() })
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

    fn groups(&mut self, required: bool) -> SharingGroups {
        let field = "default_sharing_groups";
        let Some(value) = self.require(field, required).filter(|value| !value.is_null()) else {
            return SharingGroups::default();
        };
        let group = |entry: &Value| {
            let text = |name: &str| entry.get(name)?.as_str().map(str::to_owned);
            Some((text("group_id")?, text("permission_level").filter(|role| ROLES.contains(&role.as_str()))?))
        };
        let read: Option<Vec<(String, String)>> =
            value.as_array().and_then(|entries| entries.iter().map(group).collect());
        if read.is_none() {
            let message = "Input should be a list of groups with a permission level";
            self.complain(field, message, "value_error");
        }
        read.unwrap_or_default()
            .into_iter()
            .fold(SharingGroups::default(), |groups, (id, role)| groups.with(id, role))
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

    /// The [`FIELDS`].
    fn limits(&mut self, null: Null, character_limit_null: Null) -> BTreeMap<&'static str, Option<Value>> {
        let mut changes = BTreeMap::new();
        for (field, since, (message, kind), read) in FIELDS {
            let null = if field == CHARACTER_LIMIT { character_limit_null } else { null };
            let Some(value) = self.fields.get(field).filter(|_| since <= self.api_version) else { continue };
            let clears = value.is_null() && null == Null::Clears || self.sentinels && value == "clear";
            if clears {
                changes.insert(field, None);
            } else if !(value.is_null() && null == Null::Keeps || self.is_kept(value)) {
                match read(value) {
                    Some(value) => drop(changes.insert(field, Some(value))),
                    None => self.complain(field, message, kind),
                }
            }
        }
        changes
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

fn positive(value: &Value) -> Option<Value> {
    value.as_i64().filter(|number| *number >= 0).map(Value::from)
}

fn boolean(value: &Value) -> Option<Value> {
    value.as_bool().map(Value::from)
}

/// Reads a list of addresses; each comes back with a prefix length, as the provider gives it back.
fn addresses(value: &Value) -> Option<Value> {
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
        let change =
            |api_version| key_change(api_version, &body).unwrap().fields.get(CHARACTER_LIMIT).cloned();
        assert_eq!(change(ApiVersion::August2025), Some(None));
        assert_eq!(change(ApiVersion::September2026), None);
        assert_eq!(change(ApiVersion::November2026), None);
    }
}
