//! Everything that is told of one credential on its page, gathered.

use crate::domain::event::Event;
use crate::domain::ids::{CredentialName, RotationId};
use crate::domain::record::Record;
use crate::domain::report::consumers::uses;
use crate::domain::report::history::Story;
use crate::domain::report::progress::Progress;
use crate::domain::report::why::WhyReport;
use crate::http::public::PublicState;
use crate::ports::journal::{self, CredentialState};

/// Older rotations are for `rekeyd history`.
const ROTATIONS: usize = 10;

pub(super) struct Told {
    pub(super) why: WhyReport,
    /// The way of the rotation under way.
    pub(super) course: Option<Progress>,
    /// The newest first, the one under way included.
    pub(super) stories: Vec<Story>,
    /// Why some of it could not be read, if so.
    pub(super) unread: Option<String>,
}

/// `None` if neither journal nor policy know it.
///
/// # Errors
/// The journal cannot be read. Damaged rows are told of.
pub(super) async fn tell(
    shared: &PublicState,
    name: &CredentialName,
) -> Result<Option<Told>, journal::Error> {
    let Some(report) = shared.observer.tell(name).await? else { return Ok(None) };
    let (journal, setup) = (shared.handle.journal(), shared.handle.context());
    let now = setup.clock.now();
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
    let uses = uses(record, rotation.as_ref(), setup.policy.credentials.get(name), &acks);
    let (chapters, unread) = match journal.history(name, ROTATIONS).await {
        Ok(chapters) => (chapters, None),
        Err(error @ journal::Error::Corrupt { .. }) => (Vec::new(), Some(error.to_string())),
        Err(error) => return Err(error),
    };
    let mut course = None;
    let mut stories = Vec::new();
    for chapter in chapters {
        let events: Vec<_> = chapter.entries.into_iter().map(|entry| (entry.at, entry.event)).collect();
        course = course.or_else(|| of_open(open, chapter.rotation, &events));
        stories.push(Story::tell(chapter.rotation, &events));
    }
    let why = WhyReport::new(report, observed.as_ref(), uses, now);
    Ok(Some(Told { why, course, stories, unread }))
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

/// Damaged rows are as good as none here: the report says that there are some.
fn readable<T>(read: Result<T, journal::Error>) -> Result<Option<T>, journal::Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(journal::Error::Corrupt { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}
