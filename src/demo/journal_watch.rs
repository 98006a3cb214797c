//! Reads the journal while the daemon runs, is dead, and runs again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::Timestamp;

use crate::config::components::JournalConfig;
use crate::domain::event::Event;
use crate::domain::gate::{self, Evidence, GateName, LaggingConsumer};
use crate::domain::ids::{CredentialName, KeyId, RotationId};
use crate::domain::phase::Phase;
use crate::domain::plan::Plan;
use crate::domain::rotation::Rotation;
use crate::ports::journal::ReadError;

/// More rotations of one credential than a rehearsal has time for.
const ROTATIONS_MAX: usize = 10_000;

/// An event, with the plan of the rotation that it belongs to.
pub struct News {
    pub at: Timestamp,
    pub plan: Plan,
    pub event: Event,
}

/// One rotation as it stands, with its events.
pub struct Told {
    pub rotation: Rotation,
    pub events: Vec<Event>,
}

/// A reader of the journal who remembers what was told already.
pub struct JournalWatch {
    journal: JournalConfig,
    credentials: Vec<CredentialName>,
    told: BTreeMap<RotationId, usize>,
    minted: BTreeSet<KeyId>,
}

/// Why nothing can be told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("the journal of rotation {0} makes no sense: {1}")]
    Damaged(RotationId, String),
}

impl JournalWatch {
    #[must_use]
    pub fn new<'c>(journal: &Path, credentials: impl Iterator<Item = &'c CredentialName>) -> Self {
        Self {
            journal: JournalConfig::at(journal),
            credentials: credentials.cloned().collect(),
            told: BTreeMap::new(),
            minted: BTreeSet::new(),
        }
    }

    /// Every rotation, oldest first within a credential.
    ///
    /// # Errors
    /// The journal cannot be read, or makes no sense.
    pub fn rotations(&self) -> Result<Vec<Told>, Error> {
        let journal = self.journal.open_read_only().map_err(ReadError::from)?;
        let mut all = Vec::new();
        for name in &self.credentials {
            for chapter in journal.history(name, ROTATIONS_MAX)?.into_iter().rev() {
                let events = chapter.entries.iter().map(|entry| (entry.at, entry.event.clone()));
                let rotation = Rotation::fold(events)
                    .map_err(|why| Error::Damaged(chapter.rotation, why.to_string()))?;
                let events = chapter.entries.into_iter().map(|entry| entry.event).collect();
                all.push(Told { rotation, events });
            }
        }
        Ok(all)
    }

    /// What was journalled since this was last asked, in order. Nothing while the journal cannot be read: it is told
    /// the next time.
    pub fn news(&mut self) -> Vec<News> {
        let Ok(journal) = self.journal.open_read_only() else { return Vec::new() };
        let mut news = Vec::new();
        for name in &self.credentials {
            let Ok(chapters) = journal.history(name, ROTATIONS_MAX) else { continue };
            for chapter in chapters {
                let Some(Event::Begun(plan)) = chapter.entries.first().map(|entry| &entry.event) else {
                    continue;
                };
                let plan = plan.as_ref().clone();
                let told = self.told.entry(chapter.rotation).or_default();
                for entry in chapter.entries.into_iter().skip(*told) {
                    *told += 1;
                    if let Event::Minted { key, .. } = &entry.event {
                        self.minted.insert(key.clone());
                    }
                    news.push(News { at: entry.at, plan: plan.clone(), event: entry.event });
                }
            }
        }
        news.sort_by_key(|one| one.at);
        news
    }

    /// Who holds an old key back that could go by the time alone, of every credential. Nobody while the journal cannot
    /// be read.
    #[must_use]
    pub fn waiting_on(&self, now: Timestamp) -> BTreeMap<CredentialName, Vec<LaggingConsumer>> {
        let read = || -> Result<BTreeMap<CredentialName, Vec<LaggingConsumer>>, ReadError> {
            let journal = self.journal.open_read_only().map_err(ReadError::from)?;
            let mut all = BTreeMap::new();
            for (name, known) in journal.load()? {
                let rotation = known.ok().and_then(|known| known.rotation);
                let Some(rotation) = rotation.filter(|it| matches!(it.phase, Phase::Overlap(_))) else {
                    continue;
                };
                let observed = journal.observed(&name, rotation.plan.rotation)?.unwrap_or_default();
                let evidence = Evidence { acks: journal.acks(&name)?, observed };
                let verdicts = gate::judge(&rotation, &evidence, rotation.overlap_since(), now);
                let in_time = verdicts.iter().any(|it| it.gate == GateName::AtLeast && it.satisfied);
                let shut = verdicts.into_iter().filter(|verdict| in_time && !verdict.satisfied);
                all.insert(name, shut.flat_map(|verdict| verdict.waiting_on).collect());
            }
            Ok(all)
        };
        read().unwrap_or_default()
    }

    /// Whether the news said that this key was created.
    #[must_use]
    pub fn knows(&self, key: &str) -> bool {
        self.minted.iter().any(|known| known.as_str() == key)
    }

    /// Whether no rotation is under way.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.rotations().is_ok_and(|all| all.iter().all(|told| told.rotation.is_over()))
    }
}
