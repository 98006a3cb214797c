//! Checks the daemon, workspaces, stores and consumers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::SignedDuration;

use crate::config::check::{access, admin};
use crate::config::components::{DaemonConfig, JournalConfig, WorkspaceConfig};
use crate::config::defaults;
use crate::config::raw::{self, At};
use crate::config_file::environment::Environment;
use crate::config_file::findings::Findings;
use crate::config_file::values;
use crate::domain::acceptance::AcceptanceRule;
use crate::domain::ids::StoreName;
use crate::domain::policy::{Breaker, WorkspaceLimits};
use crate::ports::store_kind::StoreConfig;
use crate::stores::StoreTable;

const SECOND: SignedDuration = SignedDuration::from_secs(1);

pub(super) fn daemon(
    raw: &raw::Daemon,
    environment: &dyn Environment,
    findings: &mut Findings,
) -> DaemonConfig {
    let mut duration = |written: &Option<At<raw::Duration>>, otherwise| {
        values::duration_or(written.as_ref(), otherwise, SECOND, findings)
    };
    let drain = duration(&raw.drain, defaults::DRAIN);
    let settle = duration(&raw.settle, defaults::SETTLE);
    let clock_skew_max = duration(&raw.clock_skew_max, defaults::CLOCK_SKEW_MAX);
    let activation_deadline = duration(&raw.activation_deadline, defaults::ACTIVATION_DEADLINE);
    let over = values::duration_or(
        raw.acceptances.over.as_ref(),
        defaults::ACCEPTANCES_OVER,
        SignedDuration::ZERO,
        findings,
    );
    let acceptances = AcceptanceRule {
        count: raw.acceptances.count.as_ref().map_or(defaults::ACCEPTANCES_COUNT, |written| {
            u32::try_from(*written.value()).unwrap_or(defaults::ACCEPTANCES_COUNT)
        }),
        over,
    };
    let mut duration = |written: &Option<At<raw::Duration>>, otherwise| {
        values::duration_or(written.as_ref(), otherwise, SECOND, findings)
    };
    let sweep_every = duration(&raw.sweep_every, defaults::SWEEP_EVERY);
    let inspect_every = duration(&raw.inspect_every, defaults::INSPECT_EVERY);
    let notify_after = duration(&raw.notify_after, defaults::NOTIFY_AFTER);
    let socket = values::path(raw.socket.as_ref(), findings)
        .unwrap_or_else(|| in_systemd_directory(environment, "RUNTIME_DIRECTORY", defaults::SOCKET));
    let journal = values::path(raw.journal.sqlite.path.as_ref(), findings)
        .unwrap_or_else(|| in_systemd_directory(environment, "STATE_DIRECTORY", defaults::JOURNAL));
    let listen = listen(raw, findings);
    DaemonConfig {
        listen,
        tls: raw.tls.as_ref().and_then(|tls| access::tls(tls, findings)),
        socket,
        journal: JournalConfig::Sqlite { path: journal },
        drain,
        settle,
        clock_skew_max,
        activation_deadline,
        acceptances,
        sweep_every,
        inspect_every,
        emergencies_at_once: usize::try_from(
            raw.emergencies_at_once
                .as_ref()
                .map_or(defaults::EMERGENCIES_AT_ONCE, |written| *written.value()),
        )
        .unwrap_or(usize::MAX),
        notify_after,
    }
}

/// The default file, in the directory that systemd created for the unit, if there is one.
fn in_systemd_directory(environment: &dyn Environment, variable: &str, otherwise: &str) -> PathBuf {
    let directories = environment.read(variable).unwrap_or_default();
    match (directories.split(':').next(), Path::new(otherwise).file_name()) {
        (Some(directory), Some(file)) if directory.starts_with('/') => Path::new(directory).join(file),
        (_, _) => PathBuf::from(otherwise),
    }
}

fn listen(raw: &raw::Daemon, findings: &mut Findings) -> std::net::SocketAddr {
    let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 9809));
    let Some(written) = &raw.listen else { return defaults::LISTEN.parse().unwrap_or(loopback) };
    let Ok(address) = written.value().as_str().parse::<std::net::SocketAddr>() else {
        let help = "use digits, such as \"127.0.0.1:9809\" or \"[::1]:9809\"; host names are not supported";
        findings.error(&written.span(), "not an address and port", help);
        return loopback;
    };
    let allowed = raw.allow_plaintext_beyond_loopback.as_ref().is_some_and(|allowed| *allowed.value());
    if !address.ip().is_loopback() && !allowed && raw.tls.is_none() {
        let help = "use \"127.0.0.1:9809\", set `tls` in `[daemon]`, or set `allow_plaintext_beyond_loopback = true` if a \
                    proxy or the network encrypts the traffic";
        let rule = "acknowledgement tokens and credential status would cross the network unencrypted";
        findings.error(&written.span(), rule, help);
    }
    address
}

pub(super) fn workspace(
    raw: &raw::Workspace,
    credentials: &[&str],
    findings: &mut Findings,
) -> (Option<WorkspaceConfig>, WorkspaceLimits) {
    let count = |written: &Option<At<i64>>, otherwise: u32| {
        written.as_ref().and_then(|written| u32::try_from(*written.value()).ok()).unwrap_or(otherwise)
    };
    let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
    let limits = WorkspaceLimits {
        rotations_at_once: size(count(&raw.rotations_at_once, defaults::ROTATIONS_AT_ONCE)),
        mints_per_hour: count(&raw.mints_per_hour, defaults::MINTS_PER_HOUR),
        overlaps_at_once: size(count(&raw.overlaps_at_once, defaults::OVERLAPS_AT_ONCE)),
        first_rotations_at_once: size(count(&raw.first_rotations_at_once, defaults::FIRST_ROTATIONS_AT_ONCE)),
        breaker: Breaker {
            failures: count(&raw.breaker.failures, defaults::BREAKER_FAILURES),
            within: values::duration_or(
                raw.breaker.within.as_ref(),
                defaults::BREAKER_WITHIN,
                SECOND,
                findings,
            ),
        },
    };
    let base_url = values::url(raw.base_url.as_ref(), findings);
    let admin_key = admin::reference(raw.admin_key.as_ref(), credentials, findings);
    let request_timeout =
        values::duration_or(raw.request_timeout.as_ref(), defaults::REQUEST_TIMEOUT, SECOND, findings);
    let ca_file = values::path(raw.ca_file.as_ref(), findings);
    let config = base_url.zip(admin_key).map(|(base_url, admin_key)| WorkspaceConfig {
        base_url,
        admin_key,
        in_flight: size(count(&raw.in_flight, defaults::IN_FLIGHT)),
        requests_per_second: count(&raw.requests_per_second, defaults::REQUESTS_PER_SECOND),
        request_timeout,
        ca_file,
    });
    (config, limits)
}

pub(super) fn stores(
    raw: &BTreeMap<At<String>, StoreTable>,
    findings: &mut Findings,
) -> BTreeMap<StoreName, Arc<dyn StoreConfig>> {
    let mut stores = BTreeMap::new();
    let mut directories: BTreeMap<PathBuf, StoreName> = BTreeMap::new();
    for (written, store) in raw {
        let name = values::name(written, findings, StoreName::new);
        let (Some(config), Some(name)) = (store.check(findings), name) else { continue };
        if let Some(directory) = config.directory()
            && let Some(other) = directories.insert(values::plain(directory), name.clone())
        {
            let rule = format!("the store `{other}` uses the same directory");
            findings.error(
                &written.span(),
                rule,
                "use a separate directory for each store, or a single store",
            );
        }
        stores.insert(name, config);
    }
    stores
}
