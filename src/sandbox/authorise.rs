//! Authorises each call, and counts it on the key that made it.

use jiff::Timestamp;

use crate::domain::secret::Fingerprint;
use crate::sandbox::answer::Call;
use crate::sandbox::key::StoredKey;
use crate::sandbox::refusal::Refusal;
use crate::sandbox::settings::Settings;
use crate::sandbox::workspace::Workspace;

impl Workspace {
    /// Finds the caller's key (as a position among the keys) and checks that it may do what it asks for.
    pub(super) fn authorise(&mut self, call: &Call, now: Timestamp) -> Result<usize, Refusal> {
        let route = call.target.route;
        let value = call.key.as_deref().filter(|value| !value.is_empty()).ok_or(Refusal::NoKey)?;
        let Some(position) = self.position_of(&Fingerprint::of(value.as_bytes())) else {
            *self.unknown_key_calls.entry(route).or_default() += 1;
            return Err(Refusal::WrongKey);
        };
        let permission = route.permission(self.rules.api_version);
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
    let (Some(allowed), Some(from)) = (settings.networks(), call.from) else {
        return true;
    };
    allowed.iter().any(|network| network.contains(&from.to_canonical()))
}
