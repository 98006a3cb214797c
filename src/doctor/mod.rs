//! Checks the live dependencies of a policy and suggests fixes. Changes nothing.
//!
//! [`credentials`] and [`iam`] are pure; each other file examines one subject, and each store examines itself. All subjects
//! are examined at the same time, each within a limit, so that one that does not respond does not hide the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::adapters::clock::SystemClock;
use crate::adapters::sqlite::SqliteJournal;
use crate::config::Config;
use crate::config::components::JournalConfig;
use crate::domain::examination::{Check, Finding, Report};
use crate::domain::ids::{CredentialName, StoreName};
use crate::domain::plan::Destination;
use crate::domain::record::Record;
use crate::ports::clock::Clock as _;
use crate::ports::store_kind::Examination;

mod credentials;
mod gates;
pub mod iam;
mod journal;
mod listen;
mod machine;
mod secrets;
mod workspace;

/// For one subject: longer than everything in it may take by itself.
const SUBJECT_LIMIT: Duration = Duration::from_secs(45);
/// For one question within a subject.
const QUESTION_LIMIT: Duration = Duration::from_secs(8);

/// What is examined: a policy, and what the journal knows of its credentials.
struct Case {
    path: PathBuf,
    config: Config,
    /// What is on record; empty without a journal.
    records: BTreeMap<CredentialName, Record>,
    now: Timestamp,
    /// Whether calls may be made that write without changing anything.
    write_probe: bool,
}

impl Case {
    /// What a store is examined for: every destination in it, with the credentials that are published there.
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
            time_limit: QUESTION_LIMIT,
            now: self.now,
        }
    }
}

/// Examines the policy that was loaded from `path`. `progress` hears how many subjects of how many are done.
pub async fn examine(
    path: &Path,
    config: Config,
    write_probe: bool,
    mut progress: impl FnMut(usize, usize),
) -> Report {
    let JournalConfig::Sqlite { path: journal } = config.daemon.journal.clone();
    let records = tokio::task::spawn_blocking(move || records(&journal)).await.unwrap_or_default();
    let now = SystemClock.now();
    let case = Arc::new(Case { path: path.to_owned(), config, records, now, write_probe });
    let mut subjects = JoinSet::new();
    let about = |name: &str| name.to_owned();
    subjects.spawn(bounded(about("this machine"), machine::examine(Arc::clone(&case))));
    subjects.spawn(bounded(about("secrets"), secrets::examine(Arc::clone(&case))));
    subjects.spawn(bounded(about("the journal"), journal::examine(Arc::clone(&case))));
    subjects.spawn(bounded(about("what the daemon listens on"), listen::examine(Arc::clone(&case))));
    subjects.spawn(bounded(about("gates"), gates::examine(Arc::clone(&case))));
    for name in case.config.workspaces.keys() {
        let examined = workspace::examine(Arc::clone(&case), name.clone());
        subjects.spawn(bounded(format!("workspace `{name}`"), examined));
    }
    for (name, store) in &case.config.stores {
        let (store, examination) = (Arc::clone(store), case.examination(name));
        subjects.spawn(bounded(examination.about.clone(), async move { store.examine(&examination).await }));
    }
    let all = subjects.len();
    let mut findings = Vec::new();
    progress(0, all);
    while let Some(examined) = subjects.join_next().await {
        findings.extend(examined.unwrap_or_else(|_| vec![Finding::broken_off("a subject")]));
        progress(all - subjects.len(), all);
    }
    Report::new(findings)
}

async fn bounded(about: String, examined: impl Future<Output = Vec<Finding>>) -> Vec<Finding> {
    match tokio::time::timeout(SUBJECT_LIMIT, examined).await {
        Ok(findings) => findings,
        Err(_) => {
            let what = format!("could not be examined within {} s", SUBJECT_LIMIT.as_secs());
            let fix =
                "something does not answer at all, such as a network file system: see the other findings";
            vec![Finding::doubtful(Check::User, about, what, fix)]
        }
    }
}

/// Does blocking work where that is allowed.
async fn aside(work: impl FnOnce() -> Vec<Finding> + Send + 'static) -> Vec<Finding> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| vec![Finding::broken_off("work on files")])
}

/// What is on record; what is wrong with the journal is said by who looks at it.
fn records(journal: &Path) -> BTreeMap<CredentialName, Record> {
    let known = SqliteJournal::open_read_only(journal).ok().and_then(|journal| journal.load().ok());
    let known = known.unwrap_or_default().into_iter();
    known.filter_map(|(name, known)| Some((name, known.ok()?.record))).collect()
}
