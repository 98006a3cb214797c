//! One workspace: the way there, what its admin key may do, and whether what the policy names is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;

use crate::adapters::clock::SystemClock;
use crate::adapters::elevenlabs::{BuildError, ElevenLabs};
use crate::adapters::endpoint::reach::reach;
use crate::app::{admin_key, assembly, with_causes};
use crate::config::components::WorkspaceConfig;
use crate::config_file::environment::ProcessEnvironment;
use crate::doctor::{Case, QUESTION_LIMIT, credentials};
use crate::domain::examination::{Check, Finding};
use crate::domain::failure::{Failure, Kind};
use crate::domain::gate::Gate;
use crate::domain::ids::{StoreName, WorkspaceName};
use crate::domain::key::{Inventory, Key};
use crate::domain::policy::Credential;
use crate::domain::secret::SecretValue;
use crate::domain::usage::Reading;
use crate::plain_file;
use crate::ports::clock::Clock;
use crate::ports::issuer::Issuer as _;
use crate::ports::secret_store::SecretStore;
use crate::ports::usage::UsageSource as _;

/// The stretch of time of which use is asked for.
const LATELY: SignedDuration = SignedDuration::from_hours(1);

pub(super) async fn examine(case: Arc<Case>, name: WorkspaceName) -> Vec<Finding> {
    let about = format!("workspace `{name}`");
    let Some(workspace) = case.config.workspaces.get(&name) else { return Vec::new() };
    let ca_pem = match workspace.ca_file.as_deref().map(plain_file::certificates).transpose() {
        Ok(ca_pem) => ca_pem,
        Err(error) => {
            let fix = "mend `ca_file`, or let the user of rekeyd read it";
            let what = format!("its `ca_file` cannot be read: {error}");
            return vec![Finding::broken(Check::Certificate, about, what, fix)];
        }
    };
    let (mut findings, goes_on) =
        reach(&about, &workspace.base_url, ca_pem.as_deref(), case.now, QUESTION_LIMIT).await;
    let admin_key = match admin_key_of(&case, &name, workspace).await {
        Ok(value) => value,
        Err(error) => {
            let fix = "see the findings of `secret` and of the store that it is published in";
            findings.push(Finding::broken(Check::AdminKey, &about, with_causes(&error), fix));
            return findings;
        }
    };
    if !goes_on {
        let fix = "mend `name` or `certificate` first";
        let what = "was not tried: there is no way to the workspace";
        findings.push(Finding::broken(Check::AdminKey, &about, what, fix));
        return findings;
    }
    findings.extend(ask(&case, &name, workspace, admin_key).await);
    findings
}

/// The admin key that the daemon would begin with, wherever it is; stores are only read.
async fn admin_key_of(
    case: &Case,
    name: &WorkspaceName,
    workspace: &WorkspaceConfig,
) -> Result<SecretValue, assembly::Error> {
    let mut stores: BTreeMap<StoreName, Arc<dyn SecretStore>> = BTreeMap::new();
    for (store, config) in case.config.stores.iter().filter(|_| workspace.admin_key.published.is_some()) {
        let opened = config.open_read_only().await;
        stores.extend(opened.ok().map(|opened| (store.clone(), opened)));
    }
    admin_key::find(name, &workspace.admin_key, &case.config, &stores, &ProcessEnvironment).await
}

async fn ask(
    case: &Case,
    name: &WorkspaceName,
    workspace: &WorkspaceConfig,
    admin_key: SecretValue,
) -> Vec<Finding> {
    let about = format!("workspace `{name}`");
    let limit = SignedDuration::try_from(QUESTION_LIMIT).unwrap_or(workspace.request_timeout);
    let hurried =
        WorkspaceConfig { request_timeout: workspace.request_timeout.min(limit), ..workspace.clone() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let issuer = match assembly::issuer(name, &hurried, admin_key, &clock) {
        Ok(issuer) => issuer,
        Err(error) => return vec![cannot_be_used(&about, &error)],
    };
    let inventory = match issuer.inventory().await {
        Ok(inventory) => inventory,
        Err(failure) => return vec![refused(&about, &failure)],
    };
    let keys = inventory.keys().count();
    let counted = format!("is accepted; service accounts: {}, keys: {keys}", inventory.accounts.len());
    let mut findings = vec![Finding::fine(Check::AdminKey, &about, counted)];
    findings.push(provider_clock(case, &about, &inventory));
    let fields = issuer.key_fields().await.unwrap_or_default();
    let credentials: Vec<&Credential> =
        case.config.policy.credentials.values().filter(|credential| credential.workspace == *name).collect();
    findings.push(protections(&about, &fields, &credentials));
    let readings = readings(case, &issuer, &inventory).await;
    findings.push(analytics(&about, &readings, &credentials));
    findings.push(audit_log(&about, issuer.try_audit_log().await));
    for credential in credentials {
        let record = case.records.get(&credential.name);
        let policy = &case.config.policy;
        findings.extend(credentials::examine(credential, policy, &inventory, record, &readings, case.now));
    }
    findings
}

fn cannot_be_used(about: &str, error: &assembly::Error) -> Finding {
    let no_authorities = matches!(
        error,
        assembly::Error::Workspace { source: BuildError::Tls(_) | BuildError::CaFile(_), .. }
            | assembly::Error::CaFile { .. }
    );
    if no_authorities {
        let fix = "install the system's certificate authorities (`apt-get install ca-certificates`), or name a PEM file as \
                   `ca_file`";
        return Finding::broken(Check::Certificate, about, with_causes(error), fix);
    }
    Finding::broken(
        Check::AdminKey,
        about,
        with_causes(error),
        "mend the workspace in the policy: `rekeyd check`",
    )
}

fn refused(about: &str, failure: &Failure) -> Finding {
    let fix = match failure.kind {
        Kind::Unauthenticated => {
            "make a new admin key in the workspace, and put it where `admin_key` refers to; then reload or restart"
        }
        Kind::Forbidden => {
            "give the admin key the right to manage service accounts (`service_account_write`; `workspace_write` in 2025), \
             and allow this machine's address if the key is bound to addresses"
        }
        Kind::Unreachable | Kind::TimedOut => {
            "see that `base_url` is right, and that a firewall or proxy lets this machine through"
        }
        Kind::Throttled | Kind::ServerError => "try again in a minute; if it stays so, ask the provider",
        Kind::Garbled
        | Kind::NotFound
        | Kind::Invalid
        | Kind::LimitReached
        | Kind::Conflict
        | Kind::NotActiveYet
        | Kind::LocalDisk
        | Kind::ClockSkew => "see that `base_url` is the API's address, such as https://api.elevenlabs.io",
    };
    Finding::broken(Check::AdminKey, about, failure.to_string(), fix)
}

fn provider_clock(case: &Case, about: &str, inventory: &Inventory) -> Finding {
    let most = case.config.daemon.clock_skew_max;
    let Some(seconds) = inventory.clock_skew_seconds else {
        let fix = "compare by hand: `date -u`";
        return Finding::unproven(Check::ProviderClock, about, "the provider does not tell its time", fix);
    };
    let what = match seconds {
        0 => "the provider's clock and this machine's agree".to_owned(),
        ahead @ 1.. => format!("the provider's clock is {ahead} s ahead of this machine's"),
        behind => format!("the provider's clock is {} s behind this machine's", behind.unsigned_abs()),
    };
    if seconds.unsigned_abs() > most.unsigned_abs().as_secs() {
        let what = format!("{what}, more than `daemon.clock_skew_max` ({most:#}): rotations are held");
        return Finding::broken(
            Check::ProviderClock,
            about,
            what,
            "set the clock: `timedatectl set-ntp true`",
        );
    }
    if seconds.unsigned_abs() > 5 {
        return Finding::doubtful(
            Check::ProviderClock,
            about,
            what,
            "set the clock: `timedatectl set-ntp true`",
        );
    }
    Finding::fine(Check::ProviderClock, about, what)
}

/// A field that keys are listed with, and what it makes possible.
const PROTECTIONS: [(&str, &str); 4] = [
    ("expires_at_unix", "expiry of keys"),
    ("allowed_ips", "allowed addresses"),
    ("disable_reason", "reports of leaked keys"),
    ("hashed_xi_api_key", "use by key"),
];

fn protections(about: &str, fields: &BTreeSet<String>, credentials: &[&Credential]) -> Finding {
    let check = Check::Protections;
    if fields.is_empty() {
        let fix = "run the doctor again when the workspace has a key";
        return Finding::unproven(
            check,
            about,
            "no key is listed, so that what keys can have is not shown",
            fix,
        );
    }
    let listed = |wanted: bool| -> String {
        let names = PROTECTIONS.iter().filter(|(field, _)| fields.contains(*field) == wanted);
        names.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    };
    let (known, unknown) = (listed(true), listed(false));
    let expiring = credentials.iter().find(|it| it.key_lifetime.is_some() || it.expire_old_key.is_some());
    if let Some(credential) = expiring.filter(|_| !fields.contains("expires_at_unix")) {
        let what = format!(
            "the workspace does not list when keys expire, and `{}` relies on that they do",
            credential.name
        );
        let fix =
            "take `key_lifetime` and `expire_old_key` out of the policy: this workspace may ignore them";
        return Finding::doubtful(check, about, what, fix);
    }
    let what = if unknown.is_empty() { known } else { format!("{known}; not shown: {unknown}") };
    Finding::fine(check, about, format!("the workspace knows: {what}"))
}

/// The same questions as a gate asks, about at most two keys.
async fn readings(case: &Case, issuer: &ElevenLabs, inventory: &Inventory) -> Vec<Reading> {
    let keys: Vec<Key> = inventory.keys().filter(|key| key.usage_hash.is_some()).take(2).cloned().collect();
    issuer.usage(&keys, case.now.saturating_sub(LATELY).unwrap_or(case.now)).await
}

fn analytics(about: &str, readings: &[Reading], credentials: &[&Credential]) -> Finding {
    let check = Check::Analytics;
    let told: Vec<&str> =
        readings.iter().filter(|it| it.uses.is_ok()).map(|reading| reading.source.label()).collect();
    if !told.is_empty() {
        let what = format!("evidence of use can be read from: {}", told.join(", "));
        return Finding::fine(check, about, what);
    }
    let why = readings.iter().find_map(|reading| reading.uses.as_ref().err());
    let what =
        format!("no evidence of use can be read: {}", why.map_or("no source answered", String::as_str));
    let fix = "give the admin key `workspace_analytics_full_read`, or take `idle` and `new_key_used` out of `wait_for`";
    if credentials.iter().flat_map(|credential| &credential.terms.gates).any(Gate::needs_usage) {
        return Finding::doubtful(check, about, what, fix);
    }
    Finding::fine(check, about, format!("{what}; no gate of the policy needs it"))
}

fn audit_log(about: &str, read: Result<(), Failure>) -> Finding {
    match read {
        Ok(()) => Finding::fine(Check::AuditLog, about, "the workspace's audit log can be read"),
        Err(failure) => {
            let what =
                format!("the workspace's audit log cannot be read, which no rotation needs: {failure}");
            Finding::fine(Check::AuditLog, about, what)
        }
    }
}
