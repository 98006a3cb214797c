//! Checks of a workspace: the connection, the admin key's permissions, and the service accounts of the policy.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::SignedDuration;

use crate::adapters::clock::SystemClock;
use crate::adapters::elevenlabs::{BuildError, ElevenLabs};
use crate::adapters::endpoint::reach::reach;
use crate::app::{admin_key, assembly, with_causes};
use crate::config::components::WorkspaceConfig;
use crate::config_file::environment::ProcessEnvironment;
use crate::doctor::{CALL_LIMIT, Subject, credentials};
use crate::domain::adoption::find_account;
use crate::domain::examination::{Check, CheckResult};
use crate::domain::failure::{Failure, Kind};
use crate::domain::gate::Gate;
use crate::domain::ids::{StoreName, WorkspaceName};
use crate::domain::key::{Inventory, Key};
use crate::domain::policy::Credential;
use crate::domain::secret::SecretValue;
use crate::domain::usage::Reading;
use crate::plain_file;
use crate::ports::clock::Clock;
use crate::ports::issuer::{AdminKey, Issuer as _};
use crate::ports::secret_store::SecretStore;
use crate::ports::usage::UsageSource as _;

/// The period of the usage query.
const LATELY: SignedDuration = SignedDuration::from_hours(24);

pub(super) async fn examine(subject: Arc<Subject>, name: WorkspaceName) -> Vec<CheckResult> {
    let about = format!("workspace `{name}`");
    let Some(workspace) = subject.config.workspaces.get(&name) else { return Vec::new() };
    let ca_pem = match workspace.ca_file.as_deref().map(plain_file::certificates).transpose() {
        Ok(ca_pem) => ca_pem,
        Err(error) => {
            let fix = "correct `ca_file`, or make it readable for rekeyd's user";
            let what = format!("cannot read `ca_file`: {error}");
            return vec![CheckResult::error(Check::Certificate, about, what, fix)];
        }
    };
    let (mut findings, goes_on) =
        reach(&about, &workspace.base_url, ca_pem.as_deref(), subject.now, CALL_LIMIT).await;
    let admin_key = match admin_key_of(&subject, &name, workspace).await {
        Ok(value) => value,
        Err(error) => {
            let fix = "see the findings of `secret` and of the store that holds the admin key";
            findings.push(CheckResult::error(Check::AdminKey, &about, with_causes(&error), fix));
            return findings;
        }
    };
    if !goes_on {
        let fix = "fix `dns` or `certificate` first";
        let what = "not tested: the workspace is unreachable";
        findings.push(CheckResult::error(Check::AdminKey, &about, what, fix));
        return findings;
    }
    findings.extend(ask(&subject, &name, workspace, admin_key).await);
    findings
}

/// The admin key that the daemon would start with; stores are only read.
async fn admin_key_of(
    subject: &Subject,
    name: &WorkspaceName,
    workspace: &WorkspaceConfig,
) -> Result<SecretValue, assembly::Error> {
    let mut stores: BTreeMap<StoreName, Arc<dyn SecretStore>> = BTreeMap::new();
    for (store, config) in subject.config.stores.iter().filter(|_| workspace.admin_key.published.is_some()) {
        let opened = config.open_read_only().await;
        stores.extend(opened.ok().map(|opened| (store.clone(), opened)));
    }
    admin_key::find(name, &workspace.admin_key, &subject.config, &stores, &ProcessEnvironment).await
}

async fn ask(
    subject: &Subject,
    name: &WorkspaceName,
    workspace: &WorkspaceConfig,
    admin_key: SecretValue,
) -> Vec<CheckResult> {
    let about = format!("workspace `{name}`");
    let limit = SignedDuration::try_from(CALL_LIMIT).unwrap_or(workspace.request_timeout);
    let hurried =
        WorkspaceConfig { request_timeout: workspace.request_timeout.min(limit), ..workspace.clone() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let issuer = match assembly::issuer(name, &hurried, AdminKey::new(admin_key), &clock) {
        Ok(issuer) => issuer,
        Err(error) => return vec![cannot_be_used(&about, &error)],
    };
    let inventory = match issuer.inventory().await {
        Ok(inventory) => inventory,
        Err(failure) => return vec![refused(&about, &failure)],
    };
    let keys = inventory.keys().count();
    let counted = format!("accepted; service accounts: {}, keys: {keys}", inventory.accounts.len());
    let mut findings = vec![CheckResult::ok(Check::AdminKey, &about, counted)];
    findings.push(provider_clock(subject, &about, &inventory));
    let fields = issuer.key_fields().await.unwrap_or_default();
    let credentials: Vec<&Credential> = subject
        .config
        .policy
        .credentials
        .values()
        .filter(|credential| credential.workspace == *name)
        .collect();
    findings.push(capabilities(&about, &fields, &credentials));
    findings.extend(sharing_groups(&about, &inventory));
    let readings = readings(subject, &issuer, &inventory, &credentials).await;
    findings.push(analytics(&about, &readings, &credentials));
    findings.push(audit_log(&about, issuer.try_audit_log().await));
    for credential in credentials {
        let record = subject.records.get(&credential.name);
        let policy = &subject.config.policy;
        findings.extend(credentials::judge(credential, policy, &inventory, record, &readings, subject.now));
    }
    findings
}

fn cannot_be_used(about: &str, error: &assembly::Error) -> CheckResult {
    let no_authorities = matches!(
        error,
        assembly::Error::Workspace { source: BuildError::Tls(_) | BuildError::CaFile(_), .. }
            | assembly::Error::CaFile { .. }
    );
    if no_authorities {
        let fix = "install the system's certificate authorities (`apt-get install ca-certificates`), or set `ca_file` to a PEM \
                   file";
        return CheckResult::error(Check::Certificate, about, with_causes(error), fix);
    }
    CheckResult::error(
        Check::AdminKey,
        about,
        with_causes(error),
        "correct the workspace in the policy: `rekeyd check`",
    )
}

fn refused(about: &str, failure: &Failure) -> CheckResult {
    let fix = match failure.kind {
        Kind::Unauthenticated => {
            "create a new admin key in the workspace, store it where `admin_key` points, then reload or restart"
        }
        Kind::Forbidden => {
            "grant the admin key the permission to manage service accounts (`service_account_write`; `workspace_write` in \
             2025), and allow this machine's address if the key is restricted to addresses"
        }
        Kind::Unreachable | Kind::TimedOut => "check `base_url`, the firewall and the proxy",
        Kind::Throttled | Kind::ServerError => "try again in a minute; if it persists, contact the provider",
        Kind::Garbled
        | Kind::NotFound
        | Kind::Invalid
        | Kind::LimitReached
        | Kind::Conflict
        | Kind::NotActiveYet
        | Kind::LocalDisk
        | Kind::ClockSkew => "check that `base_url` is the API's URL, such as https://api.elevenlabs.io",
    };
    CheckResult::error(Check::AdminKey, about, failure.to_string(), fix)
}

fn provider_clock(subject: &Subject, about: &str, inventory: &Inventory) -> CheckResult {
    let most = subject.config.daemon.clock_skew_max;
    let Some(seconds) = inventory.clock_skew_seconds else {
        let fix = "compare by hand: `date -u`";
        return CheckResult::unknown(Check::ProviderClock, about, "the provider sends no time", fix);
    };
    let what = match seconds {
        0 => "in sync with the provider's clock".to_owned(),
        ahead @ 1.. => format!("the provider's clock is {ahead} s ahead of this machine's"),
        behind => format!("the provider's clock is {} s behind this machine's", behind.unsigned_abs()),
    };
    if seconds.unsigned_abs() > most.unsigned_abs().as_secs() {
        let what = format!("{what}, more than `daemon.clock_skew_max` ({most:#}): rotations stop");
        return CheckResult::error(
            Check::ProviderClock,
            about,
            what,
            "synchronize the clock: `timedatectl set-ntp true`",
        );
    }
    if seconds.unsigned_abs() > 5 {
        return CheckResult::warning(
            Check::ProviderClock,
            about,
            what,
            "synchronize the clock: `timedatectl set-ntp true`",
        );
    }
    CheckResult::ok(Check::ProviderClock, about, what)
}

/// Fields of listed keys, and the capability that each shows.
const CAPABILITIES: [(&str, &str); 4] = [
    ("expires_at_unix", "key expiry"),
    ("allowed_ips", "address allow-lists"),
    ("disable_reason", "leak reports"),
    ("hashed_xi_api_key", "usage by key"),
];

fn capabilities(about: &str, fields: &BTreeSet<String>, credentials: &[&Credential]) -> CheckResult {
    let check = Check::Capabilities;
    if fields.is_empty() {
        let fix = "run the doctor again once the workspace has a key";
        return CheckResult::unknown(
            check,
            about,
            "the workspace lists no key, so its capabilities are unknown",
            fix,
        );
    }
    let listed = |wanted: bool| -> String {
        let names = CAPABILITIES.iter().filter(|(field, _)| fields.contains(*field) == wanted);
        names.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    };
    let (known, unknown) = (listed(true), listed(false));
    let expiring = credentials.iter().find(|it| it.key_lifetime.is_some() || it.expire_old_key.is_some());
    if let Some(credential) = expiring.filter(|_| !fields.contains("expires_at_unix")) {
        let what = format!("the workspace lists no key expiry, which `{}` relies on", credential.name);
        let fix =
            "remove `key_lifetime` and `expire_old_key` from the policy: this workspace may ignore them";
        return CheckResult::warning(check, about, what, fix);
    }
    let what = if unknown.is_empty() { known } else { format!("{known}; not supported: {unknown}") };
    CheckResult::ok(check, about, format!("supported: {what}"))
}

/// Whether changes of what service accounts reach can be seen.
fn sharing_groups(about: &str, inventory: &Inventory) -> Option<CheckResult> {
    let first = inventory.accounts.first()?;
    let what = if first.groups.is_some() {
        "sharing groups of service accounts are listed"
    } else {
        "this API version does not list sharing groups: a change of them is not reported"
    };
    Some(CheckResult::ok(Check::Capabilities, about, what))
}

/// The same queries as a gate makes, for the keys of the policy's accounts; of any key if they have none.
async fn readings(
    subject: &Subject,
    issuer: &ElevenLabs,
    inventory: &Inventory,
    credentials: &[&Credential],
) -> Vec<Reading> {
    let is_alive = |key: &&Key| key.usage_hash.is_some() && key.is_alive(subject.now);
    let accounts = credentials.iter().filter_map(|it| find_account(it, inventory, subject.now).ok());
    let mut keys: Vec<Key> = accounts.flat_map(|account| &account.keys).filter(is_alive).cloned().collect();
    if keys.is_empty() {
        keys.extend(inventory.keys().filter(is_alive).take(1).cloned());
    }
    let (leaving, staying) = keys.split_at(keys.len().min(1));
    issuer.usage(leaving, staying, subject.now.saturating_sub(LATELY).unwrap_or(subject.now)).await
}

fn analytics(about: &str, readings: &[Reading], credentials: &[&Credential]) -> CheckResult {
    let check = Check::Analytics;
    let readable: Vec<&str> =
        readings.iter().filter(|it| it.uses.is_ok()).map(|reading| reading.source.label()).collect();
    if !readable.is_empty() {
        let what = format!("evidence of use is readable from: {}", readable.join(", "));
        return CheckResult::ok(check, about, what);
    }
    let why = readings.iter().find_map(|reading| reading.uses.as_ref().err());
    let what = format!("cannot read evidence of use: {}", why.map_or("no source responded", String::as_str));
    let fix = "grant the admin key `workspace_analytics_full_read`, or remove `idle` and `new_key_used` from `wait_for`";
    if credentials.iter().flat_map(|credential| &credential.terms.gates).any(Gate::needs_usage) {
        return CheckResult::warning(check, about, what, fix);
    }
    CheckResult::ok(check, about, format!("{what} (not needed by this policy)"))
}

fn audit_log(about: &str, read: Result<(), Failure>) -> CheckResult {
    match read {
        Ok(()) => CheckResult::ok(Check::AuditLog, about, "the workspace's audit log is readable"),
        Err(failure) => {
            let what = format!("cannot read the workspace's audit log (rotations do not need it): {failure}");
            CheckResult::ok(Check::AuditLog, about, what)
        }
    }
}
