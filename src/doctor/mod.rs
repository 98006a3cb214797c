//! Checks the live dependencies of a policy without changing anything, and suggests fixes.
//!
//! [`credentials`] and [`access_policy`] are pure; each of the other files checks one dependency, and each store checks itself. All checks run
//! concurrently, each within a time limit, so that one that hangs hides none of the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::adapters::clock::SystemClock;
use crate::config::Config;
use crate::config::components::JournalConfig;
use crate::domain::examination::{Check, CheckResult, Report};
use crate::domain::ids::{CredentialName, StoreName};
use crate::domain::plan::Destination;
use crate::domain::record::Record;
use crate::domain::rotation::{LastFailure, Rotation};
use crate::domain::time::distance;
use crate::ports::clock::Clock as _;
use crate::ports::store_kind::Examination;

pub mod access_policy;
mod credentials;
mod destinations;
mod gates;
mod journal;
mod listen;
mod machine;
mod secrets;
mod workspace;

/// For one group of checks: longer than the sum of its own limits.
const GROUP_LIMIT: Duration = Duration::from_secs(45);
/// For one call.
const CALL_LIMIT: Duration = Duration::from_secs(8);

/// What is checked: a policy, with the journal's records of its credentials.
struct Subject {
    path: PathBuf,
    config: Config,
    /// Empty without a journal.
    records: BTreeMap<CredentialName, Record>,
    now: Timestamp,
    /// Whether to test write access, by calls that change nothing.
    write_probe: bool,
}

impl Subject {
    /// What a store checks: every destination in it, with the credentials that publish to it.
    fn examination(&self, store: &StoreName) -> Examination {
        let mut destinations: BTreeMap<Destination, Vec<CredentialName>> = BTreeMap::new();
        for credential in self.config.policy.credentials.values() {
            for destination in credential.destinations.iter().filter(|it| it.store == *store) {
                destinations.entry(destination.clone()).or_default().push(credential.name.clone());
            }
        }
        Examination {
            about: format!("store `{store}`"),
            destinations: destinations.into_iter().collect(),
            write_probe: self.write_probe,
            time_limit: CALL_LIMIT,
            now: self.now,
        }
    }
}

/// Checks the policy that was loaded from `path`. `progress` receives the done and total number of groups.
pub async fn examine(
    path: &Path,
    config: Config,
    write_probe: bool,
    mut progress: impl FnMut(usize, usize),
) -> Report {
    let journal = config.daemon.journal.clone();
    let now = SystemClock.now();
    let read = tokio::task::spawn_blocking(move || records(&journal, now)).await;
    let (records, refusals) = read.unwrap_or_default();
    let subject = Arc::new(Subject { path: path.to_owned(), config, records, now, write_probe });
    let mut groups = JoinSet::new();
    let about = |name: &str| name.to_owned();
    groups.spawn(bounded(about("this machine"), machine::examine(Arc::clone(&subject))));
    groups.spawn(bounded(about("secrets"), secrets::examine(Arc::clone(&subject))));
    groups.spawn(bounded(about("the journal"), journal::examine(Arc::clone(&subject))));
    groups.spawn(bounded(about("the listeners"), listen::examine(Arc::clone(&subject))));
    groups.spawn(bounded(about("destinations"), destinations::examine(Arc::clone(&subject))));
    groups.spawn(bounded(about("gates"), gates::examine(Arc::clone(&subject))));
    for name in subject.config.workspaces.keys() {
        let examined = workspace::examine(Arc::clone(&subject), name.clone());
        groups.spawn(bounded(format!("workspace `{name}`"), examined));
    }
    for (name, store) in &subject.config.stores {
        let (store, examination) = (Arc::clone(store), subject.examination(name));
        groups.spawn(bounded(examination.about.clone(), async move { store.examine(&examination).await }));
    }
    let all = groups.len();
    let mut findings = refusals;
    progress(0, all);
    while let Some(examined) = groups.join_next().await {
        findings.extend(examined.unwrap_or_else(|_| vec![CheckResult::panicked("a check")]));
        progress(all - groups.len(), all);
    }
    Report::new(findings)
}

async fn bounded(about: String, examined: impl Future<Output = Vec<CheckResult>>) -> Vec<CheckResult> {
    match tokio::time::timeout(GROUP_LIMIT, examined).await {
        Ok(findings) => findings,
        Err(_) => {
            let what = format!("not checked within {} s", GROUP_LIMIT.as_secs());
            let fix = "a dependency hangs, such as a network file system; see the other findings";
            vec![CheckResult::warning(Check::User, about, what, fix)]
        }
    }
}

/// Runs blocking checks on a thread of their own.
async fn blocking(work: impl FnOnce() -> Vec<CheckResult> + Send + 'static) -> Vec<CheckResult> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| vec![CheckResult::panicked("a file check")])
}

/// The journal's records, and what the daemon was last refused in each rotation that is in progress; damage is reported by
/// the checks of the journal.
fn records(journal: &JournalConfig, now: Timestamp) -> (BTreeMap<CredentialName, Record>, Vec<CheckResult>) {
    let known = journal.open_read_only().ok().and_then(|journal| journal.load().ok());
    let known = known.unwrap_or_default().into_iter();
    let known = known.filter_map(|(name, known)| Some((name, known.ok()?)));
    let (mut records, mut refusals) = (BTreeMap::new(), Vec::new());
    for (name, known) in known {
        refusals.extend(known.rotation.as_ref().and_then(|rotation| refusal(&name, rotation, now)));
        records.insert(name, known.record);
    }
    (records, refusals)
}

fn refusal(name: &CredentialName, rotation: &Rotation, now: Timestamp) -> Option<CheckResult> {
    let LastFailure { last, last_at, .. } = rotation.last_failure.as_ref()?;
    let what = format!("the daemon's last attempt failed, {}: {last}", distance(*last_at, now));
    let fix = format!(
        "see `rekeyd status {name} --why`; the daemon's identity and environment may differ from this shell's"
    );
    Some(CheckResult::warning(Check::Journal, format!("credential `{name}`"), what, fix))
}
