//! Loads the data of a credential's page.

use crate::domain::event::Event;
use crate::domain::ids::{CredentialName, RotationId};
use crate::domain::record::Record;
use crate::domain::report::consumers::uses;
use crate::domain::report::history::RotationTimeline;
use crate::domain::report::progress::Progress;
use crate::domain::report::why::WhyReport;
use crate::http::page::accounts;
use crate::http::page::commands::{self, Possible};
use crate::http::page::links::Outward;
use crate::http::public::PublicState;
use crate::ports::journal::{self, CredentialState};

/// The number of rotations on the page; `rekeyd history` shows more.
const ROTATIONS: usize = 10;

pub(super) struct Detail {
    pub(super) why: WhyReport,
    /// The progress of the rotation in progress.
    pub(super) progress: Option<Progress>,
    /// Newest first, with the rotation in progress.
    pub(super) stories: Vec<RotationTimeline>,
    /// The error, if the history could not be read.
    pub(super) history_error: Option<String>,
    pub(super) commands: Vec<Possible>,
    /// The name of its service account, if that is known.
    pub(super) account: Option<String>,
    pub(super) links: Outward,
}

/// `None` if neither the journal nor the policy has the credential.
///
/// # Errors
/// The journal cannot be read. Damaged rows are part of the result.
pub(super) async fn load(
    shared: &PublicState,
    name: &CredentialName,
) -> Result<Option<Detail>, journal::Error> {
    let Some(report) = shared.observer.credential_report(name).await? else { return Ok(None) };
    let (journal, context) = (shared.handle.journal(), shared.handle.context());
    let now = context.clock.now();
    let known = match journal.load_one(name).await {
        Ok(known) => known.unwrap_or_else(|| unrecorded(name)),
        Err(journal::Error::Corrupt { .. }) => unrecorded(name),
        Err(error) => return Err(error),
    };
    let CredentialState { record, rotation } = &known;
    let open = rotation.as_ref().map(|rotation| rotation.plan.rotation);
    let (acks, observed) = match (journal.acks(name).await, open) {
        (Ok(acks), Some(open)) => (acks, readable(journal.observed(name, open).await)?.flatten()),
        (acks, _) => (readable(acks)?.unwrap_or_default(), None),
    };
    let uses = uses(record, rotation.as_ref(), context.policy.credentials.get(name), &acks);
    let (chapters, history_error) = match journal.history(name, ROTATIONS).await {
        Ok(chapters) => (chapters, None),
        Err(error @ journal::Error::Corrupt { .. }) => (Vec::new(), Some(error.to_string())),
        Err(error) => return Err(error),
    };
    let mut progress = None;
    let mut stories = Vec::new();
    for chapter in chapters {
        let events: Vec<_> = chapter.entries.into_iter().map(|entry| (entry.at, entry.event)).collect();
        progress = progress.or_else(|| of_open(open, chapter.rotation, &events));
        stories.push(RotationTimeline::new(chapter.rotation, &events));
    }
    let credential = context.policy.credentials.get(name);
    let commands = commands::possible(&report, rotation.as_ref(), credential, now);
    let health =
        report.workspace.as_ref().and_then(|name| context.workspaces.get(name)).map(|it| it.health());
    let account = accounts::name(&report, health.as_ref(), credential).map(str::to_owned);
    let links = Outward::new(&context.policy.links, &report, credential);
    let why = WhyReport::new(report, observed.as_ref(), uses, now);
    Ok(Some(Detail { why, progress, stories, history_error, commands, account, links }))
}

fn of_open(
    open: Option<RotationId>,
    rotation: RotationId,
    events: &[(jiff::Timestamp, Event)],
) -> Option<Progress> {
    if open == Some(rotation) { Progress::follow(events) } else { None }
}

fn unrecorded(name: &CredentialName) -> CredentialState {
    CredentialState { record: Record::new(name.clone()), rotation: None }
}

/// Treats damaged rows as missing; the report shows the damage.
fn readable<T>(read: Result<T, journal::Error>) -> Result<Option<T>, journal::Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(journal::Error::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
