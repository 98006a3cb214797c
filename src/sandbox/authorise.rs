//! Authorises each call, and counts it on the key that made it.

use jiff::Timestamp;

use crate::domain::key::network;
use crate::sandbox::answer::Call;
use crate::sandbox::key::StoredKey;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::route::Route;
use crate::sandbox::settings::Settings;
use crate::sandbox::workspace::Workspace;

impl Workspace {
    /// Finds the caller's key (as a position among the keys) and checks that it may do what it asks for.
    pub(super) fn authorise(&mut self, call: &Call, now: Timestamp) -> Result<usize, Refusal> {
        let route = call.target.route;
        let value = call.key.as_deref().filter(|value| !value.is_empty()).ok_or(Refusal::NoKey)?;
        let Some(position) = self.position_of(value) else {
            *self.unknown_key_calls.entry(route).or_default() += 1;
            return Err(Refusal::WrongKey);
        };
        let permission = self.permission_for(route);
        let Some(key) = self.keys.get_mut(position) else {
            return Err(Refusal::WrongKey);
        };
        let verdict = judge(key, call, permission, now);
        let calls = key.calls.entry(route).or_default();
        match verdict {
            Ok(()) => {
                calls.accepted += 1;
                calls.last_accepted_at = Some(now);
                *key.callers.entry(call.source.clone()).or_default() += 1;
                Ok(position)
            }
            Err(refusal) => {
                *calls.refused.entry(refusal.code().to_owned()).or_default() += 1;
                calls.last_refused_at = Some(now);
                Err(refusal)
            }
        }
    }

    fn permission_for(&self, route: Route) -> Option<&'static str> {
        match route {
            Route::ListAccounts
            | Route::CreateAccount
            | Route::ListKeys
            | Route::CreateKey
            | Route::UpdateKey
            | Route::DeleteKey
            | Route::DisableKey
            | Route::ThirdPartyDisabling => Some(self.rules.api_version.management_permission()),
            Route::User | Route::Subscription => Some("user_read"),
            Route::TextToSpeech => Some("text_to_speech"),
            Route::AuditLog => Some("audit_log_read"),
            Route::DisableSelf
            | Route::Models
            | Route::Usage
            | Route::Charges
            | Route::RequestLog
            | Route::CharacterStats => None,
        }
    }
}

fn judge(key: &StoredKey, call: &Call, permission: Option<&str>, now: Timestamp) -> Result<(), Refusal> {
    let settings = key.accepted_under(now).ok_or(Refusal::WrongKey)?;
    if !passes_addresses(settings, call) {
        return Err(Refusal::AddressRefused);
    }
    match permission {
        Some(name) if !settings.permissions.allows(name) => Err(Refusal::MissingPermission(name.to_owned())),
        Some(_) | None => Ok(()),
    }
}

fn passes_addresses(settings: &Settings, call: &Call) -> bool {
    let (Some(allowed), Some(from)) = (&settings.allowed_ips, call.from) else {
        return true;
    };
    allowed.iter().filter_map(|text| network(text)).any(|network| network.contains(&from.to_canonical()))
}
