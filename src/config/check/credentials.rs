//! Checks credentials, with the defaults applied.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::config::check::{accounts, calendars, gates};
use crate::config::components::ConsumerConfig;
use crate::config::defaults as silent;
use crate::config::known_permissions::KNOWN_PERMISSIONS;
use crate::config::raw::{self, At};
use crate::config_file::findings::{Findings, nearest};
use crate::config_file::values;
use crate::domain::ids::{ConsumerName, CredentialName, KeyId, StoreName, WorkspaceName};
use crate::domain::key::{KeyAttributes, Limits, Permissions, canonical_networks, network};
use crate::domain::plan::{AfterDeadline, Destination, RevocationPolicy};
use crate::domain::policy::{Credential, IfVanished, Mode};
use crate::domain::schedule::Schedule;
use crate::ports::store_kind::{NameRule, StoreConfig};

/// The provider's bounds are 15 minutes and 90 days; the margin covers clock skew.
const KEY_LIFETIME_MIN: SignedDuration = SignedDuration::from_mins(20);
const KEY_LIFETIME_MAX: SignedDuration = SignedDuration::from_hours(89 * 24);

/// The old key's expiry is postponed after half of this, to at least 20 minutes ahead.
const EXPIRE_OLD_KEY_MIN: SignedDuration = SignedDuration::from_hours(1);

/// The names that credentials refer to.
pub(super) struct References<'r> {
    pub(super) raw: &'r raw::Policy,
    pub(super) stores: &'r BTreeMap<StoreName, Arc<dyn StoreConfig>>,
    pub(super) consumers: &'r BTreeMap<ConsumerName, ConsumerConfig>,
}

/// A checked credential beside its raw entry.
pub(super) struct CheckedCredential<'r> {
    pub(super) credential: Credential,
    pub(super) name: &'r At<String>,
    pub(super) raw: &'r raw::Credential,
    pub(super) defaults: &'r raw::Defaults,
    /// The positions of its destinations, in their order.
    pub(super) places: Vec<Range<usize>>,
}

/// Every valid credential; the problems of the others were reported.
pub(super) fn check<'r>(around: &References<'r>, findings: &mut Findings) -> Vec<CheckedCredential<'r>> {
    let defaults = &around.raw.defaults;
    defaults_alone(defaults, findings);
    let mut written = Vec::new();
    for (name, raw) in &around.raw.credentials {
        let schedule = schedule(around, name, raw, findings);
        let terms = terms(around, raw, findings);
        let workspace = workspace(around, name, raw, findings);
        let mode = mode(around, raw, workspace.as_ref());
        let service_account = values::text(raw.service_account.as_ref(), findings);
        let adopt = adopt(raw, findings);
        let create_account = accounts::create_account(name, raw, findings);
        let (destinations, places) = destinations(around, name, raw, findings);
        let allow_unrestricted = raw.allow_unrestricted.as_ref().or(defaults.allow_unrestricted.as_ref());
        let allow_unrestricted = allow_unrestricted.is_some_and(|allowed| *allowed.value());
        let first = first_attributes(raw, allow_unrestricted, findings);
        let key_lifetime =
            key_lifetime(raw.key_lifetime.as_ref().or(defaults.key_lifetime.as_ref()), findings);
        let after = predecessors(around, name, raw, findings);
        let bake = raw.bake.as_ref().or(defaults.bake.as_ref());
        let bake = values::duration_or(bake, silent::BAKE, SignedDuration::ZERO, findings);
        let expire_old_key = raw.expire_old_key.as_ref().or(defaults.expire_old_key.as_ref());
        let expire_old_key = values::duration(expire_old_key, EXPIRE_OLD_KEY_MIN, findings);
        let if_vanished = raw.if_key_vanishes.as_ref().or(defaults.if_key_vanishes.as_ref());
        let if_vanished = match if_vanished.map(At::value) {
            Some(raw::IfVanished::Alert) | None => IfVanished::Alert,
            Some(raw::IfVanished::Replace) => IfVanished::Replace,
        };
        let Some(checked) = values::name(name, findings, CredentialName::new) else { continue };
        let (Some(schedule), Some(workspace), Some(service_account)) = (schedule, workspace, service_account)
        else {
            continue;
        };
        let credential = Credential {
            name: checked,
            workspace,
            mode,
            service_account,
            create_account,
            adopt,
            first,
            allow_unrestricted,
            key_lifetime,
            destinations,
            schedule,
            terms,
            after,
            bake,
            expire_old_key,
            if_vanished,
        };
        written.push(CheckedCredential { credential, name, raw, defaults, places });
    }
    written
}

/// The credential's own mode, else its workspace's, else that of the defaults.
fn mode(around: &References<'_>, raw: &raw::Credential, workspace: Option<&WorkspaceName>) -> Mode {
    let of_workspace = around
        .raw
        .workspaces
        .iter()
        .find(|(name, _)| workspace.is_some_and(|workspace| workspace.as_str() == name.value()))
        .and_then(|(_, workspace)| workspace.mode.as_ref());
    match raw.mode.as_ref().or(of_workspace).or(around.raw.defaults.mode.as_ref()).map(At::value) {
        Some(raw::RotationMode::Observe) => Mode::Observe,
        Some(raw::RotationMode::Rotate) | None => Mode::Rotate,
    }
}

/// Checks the defaults even if no credential uses them.
fn defaults_alone(defaults: &raw::Defaults, findings: &mut Findings) {
    let second = SignedDuration::from_secs(1);
    for (written, least) in [
        (&defaults.every, second),
        (&defaults.jitter, SignedDuration::ZERO),
        (&defaults.overlap.at_least, SignedDuration::ZERO),
        (&defaults.overlap.at_most, second),
        (&defaults.quarantine, SignedDuration::ZERO),
        (&defaults.bake, SignedDuration::ZERO),
        (&defaults.expire_old_key, EXPIRE_OLD_KEY_MIN),
    ] {
        values::duration(written.as_ref(), least, findings);
    }
    key_lifetime(defaults.key_lifetime.as_ref(), findings);
}

fn schedule(
    around: &References<'_>,
    name: &At<String>,
    raw: &raw::Credential,
    findings: &mut Findings,
) -> Option<Schedule> {
    let defaults = &around.raw.defaults;
    let cadence = calendars::cadence(raw, defaults, name, findings);
    let jitter = raw.jitter.as_ref().or(defaults.jitter.as_ref());
    let jitter = values::duration_or(jitter, silent::JITTER, SignedDuration::ZERO, findings);
    let window = calendars::window(raw, defaults, findings);
    let own = [raw.time_zone.as_ref(), defaults.time_zone.as_ref()];
    let everybodys = [defaults.time_zone.as_ref()];
    let mut freezes = Vec::new();
    for freeze in &around.raw.freeze {
        freezes.extend(calendars::freeze(freeze, &everybodys, findings));
    }
    for freeze in &raw.freeze {
        freezes.extend(calendars::freeze(freeze, &own, findings));
    }
    Some(Schedule { cadence: cadence?, jitter, window, freezes })
}

fn terms(around: &References<'_>, raw: &raw::Credential, findings: &mut Findings) -> RevocationPolicy {
    let defaults = &around.raw.defaults;
    let (own, inherited) = (&raw.overlap, &defaults.overlap);
    let second = SignedDuration::from_secs(1);
    let at_least = own.at_least.as_ref().or(inherited.at_least.as_ref());
    let at_most = own.at_most.as_ref().or(inherited.at_most.as_ref());
    let quarantine = raw.quarantine.as_ref().or(defaults.quarantine.as_ref());
    let then = own.then.as_ref().or(inherited.then.as_ref()).map(At::value);
    let gates::Waits { gates, confirm, acks_valid_for, canary } =
        gates::waits(around, &raw.wait_for, &defaults.wait_for, findings);
    RevocationPolicy {
        at_least: values::duration_or(at_least, silent::AT_LEAST, SignedDuration::ZERO, findings),
        at_most: values::duration_or(at_most, silent::AT_MOST, second, findings),
        then: match then {
            Some(raw::Then::Hold) | None => AfterDeadline::Hold,
            Some(raw::Then::Revoke) => AfterDeadline::Revoke,
            Some(raw::Then::RollBack) => AfterDeadline::RollBack,
        },
        gates,
        confirm,
        acks_valid_for,
        canary,
        quarantine: values::duration_or(quarantine, silent::QUARANTINE, SignedDuration::ZERO, findings),
    }
}

fn workspace(
    around: &References<'_>,
    name: &At<String>,
    raw: &raw::Credential,
    findings: &mut Findings,
) -> Option<WorkspaceName> {
    let declared: Vec<&str> = around.raw.workspaces.keys().map(|name| name.value().as_str()).collect();
    let written = raw.workspace.as_ref().or(around.raw.defaults.workspace.as_ref());
    if let Some(written) = written {
        return values::reference(written, "workspace", &declared, WorkspaceName::new, findings);
    }
    if let [only] = declared.as_slice() {
        return WorkspaceName::new(*only).ok();
    }
    if findings.is_explained("workspaces") && declared.is_empty() {
        return None;
    }
    let (rule, help) = match declared.as_slice() {
        [] => ("no workspace is declared", "add a table such as `[workspaces.prod]`".to_owned()),
        several => {
            let first = several.first().copied().unwrap_or_default();
            (
                "missing `workspace`: several are declared",
                format!("set `workspace`, for example `workspace = \"{first}\"`"),
            )
        }
    };
    findings.error(&name.span(), rule, help);
    None
}

/// The credentials that are rotated before this one.
fn predecessors(
    around: &References<'_>,
    name: &At<String>,
    raw: &raw::Credential,
    findings: &mut Findings,
) -> BTreeSet<CredentialName> {
    let Some(written) = &raw.after else { return BTreeSet::new() };
    let declared: Vec<&str> = around.raw.credentials.keys().map(|name| name.value().as_str()).collect();
    let mut names = BTreeSet::new();
    for one in written {
        if one.value().as_str() == name.value() {
            let rule = "a credential cannot come after itself";
            findings.error(&one.span(), rule, "use another one, or remove it");
            continue;
        }
        names.extend(values::reference(one, "credential", &declared, CredentialName::new, findings));
    }
    names
}

fn adopt(raw: &raw::Credential, findings: &mut Findings) -> Option<KeyId> {
    let written = raw.adopt.as_ref()?;
    match KeyId::new(written.value().as_str()) {
        Ok(key) => Some(key),
        Err(_) => {
            let help = "use the key's ID, never the key itself";
            findings.error(&written.span(), "not a key ID", help);
            None
        }
    }
}

fn destinations(
    around: &References<'_>,
    name: &At<String>,
    raw: &raw::Credential,
    findings: &mut Findings,
) -> (Vec<Destination>, Vec<Range<usize>>) {
    let Some(written) = &raw.publish_to else { return (Vec::new(), Vec::new()) };
    let key = format!("{}.publish_to", findings.key_at(&name.span()));
    if written.is_empty() && !findings.is_explained(&key) {
        let help = "set for example `publish_to = [{ store = \"aws\", secret = \"prod/tts/elevenlabs\" }]`";
        findings.error_of(key, &name.span(), "missing destination", help);
    }
    let declared: Vec<&str> = around.raw.stores.keys().map(|name| name.value().as_str()).collect();
    let mut destinations = Vec::new();
    let mut places = Vec::new();
    for one in written {
        let store = one.store.as_ref();
        let store =
            store.and_then(|store| values::reference(store, "store", &declared, StoreName::new, findings));
        let json_field = values::text(one.json_field.as_ref(), findings);
        let config = store.as_ref().and_then(|store| around.stores.get(store)).map(AsRef::as_ref);
        let secret = values::text(one.secret.as_ref(), findings)
            .filter(|_| config.is_none_or(|config| secret_fits(one.secret.as_ref(), config, findings)));
        let (Some(store), Some(secret), Some(at)) = (store, secret, &one.secret) else { continue };
        let by_default = config.is_some_and(|config| config.kind().is_filled_by_rekeyd);
        let create = one.create.as_ref().map_or(by_default, |create| *create.value());
        let create_field = one.create_field.as_ref().filter(|written| *written.value());
        if let Some(written) = create_field.filter(|_| json_field.is_none()) {
            findings.error(
                &written.span(),
                "`create_field` without `json_field`",
                "name the field as `json_field`",
            );
        }
        let create_field = create_field.is_some();
        destinations.push(Destination { store, secret, json_field, create, create_field });
        places.push(at.span());
    }
    (destinations, places)
}

/// Whether the name is valid for this kind of store.
fn secret_fits(written: Option<&At<raw::Text>>, store: &dyn StoreConfig, findings: &mut Findings) -> bool {
    let Some(written) = written else { return false };
    let NameRule { accepts, rule, help } = store.kind().name_rule;
    let fits = accepts(written.value().as_str());
    if !fits {
        findings.error(&written.span(), rule, help);
    }
    fits
}

/// The provider may have added it since, so it is not an error.
fn unknown_permission(name: &At<raw::Permission>, findings: &mut Findings) {
    let text = name.value().as_str();
    if KNOWN_PERMISSIONS.contains(&text) {
        return;
    }
    let help = match nearest(text, KNOWN_PERMISSIONS) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => "`rekeyd doctor` looks for a key that has it".to_owned(),
    };
    findings.warning(&name.span(), "ElevenLabs documents no permission with this name", help);
}

fn first_attributes(
    raw: &raw::Credential,
    allow_unrestricted: bool,
    findings: &mut Findings,
) -> Option<KeyAttributes> {
    let Some(permissions) = &raw.permissions else {
        let limit = raw.character_limit.as_ref().map(At::span);
        let addresses = raw.allowed_ips.as_ref().and_then(|list| list.first()).map(At::span);
        for span in limit.into_iter().chain(addresses) {
            let rule = "only for a first key, which needs `permissions`";
            findings.error(&span, rule, "set `permissions`, or remove this key");
        }
        return None;
    };
    let span = permissions.span();
    let allowed = match permissions.value() {
        raw::Permissions::All => {
            if !allow_unrestricted {
                let help = "list the required permissions, or set `allow_unrestricted = true`";
                findings.error(&span, "unrestricted keys are not allowed", help);
            }
            Permissions::All
        }
        raw::Permissions::Only(names) => {
            if names.is_empty() {
                findings.error(&span, "the list of permissions is empty", "list the required permissions");
            }
            for name in names.iter().filter(|name| KeyId::new(name.value().as_str()).is_err()) {
                let help = "use a name such as \"text_to_speech\"";
                findings.error(&name.span(), "not a permission name", help);
            }
            for name in names {
                unknown_permission(name, findings);
            }
            Permissions::Only(names.iter().map(|name| name.value().as_str().to_owned()).collect())
        }
    };
    let addresses = raw.allowed_ips.as_ref().map(|list| networks(list, findings));
    let limits = Limits::default()
        .with("character_limit", raw.character_limit.as_ref().map(|limit| *limit.value()))
        .with("allowed_ips", addresses.filter(|addresses| !addresses.is_empty()));
    Some(KeyAttributes { permissions: allowed, limits })
}

fn networks(list: &[At<raw::AddressRange>], findings: &mut Findings) -> Vec<String> {
    for written in list.iter().filter(|written| network(written.value().as_str()).is_none()) {
        let help = "use for example \"203.0.113.7\" or \"203.0.113.0/24\"";
        findings.error(&written.span(), "not an IP address or network", help);
    }
    canonical_networks(list.iter().map(|written| written.value().as_str()))
}

fn key_lifetime(written: Option<&At<raw::Duration>>, findings: &mut Findings) -> Option<SignedDuration> {
    let lifetime = values::duration(written, KEY_LIFETIME_MIN, findings)?;
    if lifetime <= KEY_LIFETIME_MAX {
        return Some(lifetime);
    }
    if let Some(written) = written {
        let help = "use at most \"89d\", or remove it for keys that do not expire";
        findings.error(&written.span(), "longer than the provider allows", help);
    }
    None
}
