//! Checks a policy: parses every value, resolves every name, and collects every problem in the [`Findings`]. A value with
//! a problem is left out or replaced by its default; the caller rejects a policy with errors.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::components::{
    ChannelConfig, ConsumerConfig, DaemonConfig, LeaksConfig, MetricsConfig, ReadersConfig, WorkspaceConfig,
};
use crate::config::defaults;
use crate::config::raw;
use crate::config_file::environment::Environment;
use crate::config_file::findings::Findings;
use crate::config_file::values;
use crate::domain::ids::{ChannelName, ConsumerName, StoreName, WorkspaceName};
use crate::domain::policy::Policy;
use crate::ports::store_kind::StoreConfig;

mod access;
mod accounts;
mod admin;
pub(super) mod agent;
mod calendars;
mod consistency;
mod credentials;
mod environment;
mod gates;
mod links;
mod notify;
mod places;
mod renames;
mod waves;

/// A checked policy.
pub(super) struct Checked {
    pub(super) policy: Policy,
    pub(super) daemon: DaemonConfig,
    pub(super) workspaces: BTreeMap<WorkspaceName, WorkspaceConfig>,
    pub(super) stores: BTreeMap<StoreName, Arc<dyn StoreConfig>>,
    pub(super) consumers: BTreeMap<ConsumerName, ConsumerConfig>,
    pub(super) leaks: LeaksConfig,
    pub(super) channels: BTreeMap<ChannelName, ChannelConfig>,
    pub(super) readers: ReadersConfig,
    pub(super) metrics: MetricsConfig,
}

pub(super) fn check(raw: &raw::Policy, environment: &dyn Environment, findings: &mut Findings) -> Checked {
    let daemon = environment::daemon(&raw.daemon, environment, findings);
    let mut policy = Policy { emergencies_at_once: daemon.emergencies_at_once, ..Policy::default() };
    let mut workspaces = BTreeMap::new();
    let declared: Vec<&str> = raw.credentials.keys().map(|name| name.value().as_str()).collect();
    for (name, workspace) in &raw.workspaces {
        let (config, limits) = environment::workspace(workspace, &declared, findings);
        if let Some(name) = values::name(name, findings, WorkspaceName::new) {
            policy.workspaces.insert(name.clone(), limits);
            workspaces.extend(config.map(|config| (name, config)));
        }
    }
    let stores = environment::stores(&raw.stores, findings);
    let leaks = LeaksConfig { token: values::secret(raw.leaks.token.as_ref(), findings) };
    let (consumers, readers) = access::consumers(raw, &leaks, findings);
    let per_credential = raw.metrics.per_credential.as_ref().map(|written| *written.value());
    let metrics = MetricsConfig { per_credential: per_credential.unwrap_or(defaults::PER_CREDENTIAL) };
    let surroundings = credentials::References { raw, stores: &stores, consumers: &consumers };
    let written = credentials::check(&surroundings, findings);
    admin::check(&raw.workspaces, &written, findings);
    policy.links = links::check(raw, findings);
    policy.renames = renames::check(raw, findings);
    policy.consumers = consumers.keys().cloned().collect();
    policy.rivals = places::check(&written, &stores, findings);
    consistency::check(&written, &stores, &consumers, findings);
    waves::check(&written, findings);
    let channels = notify::check(raw, findings);
    if raw.credentials.is_empty() && !findings.has_errors() {
        findings.warning_of_file(
            "the policy has no credentials",
            "add a table such as `[credentials.tts-backend]`",
        );
    }
    policy.credentials = written.into_iter().map(|it| (it.credential.name.clone(), it.credential)).collect();
    Checked { policy, daemon, workspaces, stores, consumers, leaks, readers, metrics, channels }
}
