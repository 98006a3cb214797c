//! Waves: a credential with `after` is rotated by schedule only when its predecessors have been rotated successfully.

use std::fmt;

use jiff::Timestamp;

use crate::domain::ids::CredentialName;
use crate::domain::phase::PhaseName;
use crate::domain::policy::Credential;
use crate::domain::record::Record;
use crate::domain::time::later;

/// What a credential waits for before its schedule may begin a rotation of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The credential that has to come first.
    pub on: CredentialName,
    pub why: Lag,
}

/// Why a predecessor still blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lag {
    /// Its key is not newer than the waiting credential's.
    NotRotatedYet,
    /// It is being rotated.
    UnderWay,
    /// Its last rotation was aborted or rolled back.
    EndedAs(PhaseName),
    /// It is done, and has to be for a while.
    Baking { until: Timestamp },
}

impl Waiting {
    /// When it is over by itself; `None` if something has to happen first.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        match &self.why {
            Lag::Baking { until } => Some(*until),
            Lag::NotRotatedYet | Lag::UnderWay | Lag::EndedAs(_) => None,
        }
    }
}

/// As text.
impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = &self.on;
        match &self.why {
            Lag::NotRotatedYet => write!(f, "`{on}` comes first and has not been rotated yet"),
            Lag::UnderWay => write!(f, "`{on}` comes first and is being rotated"),
            Lag::EndedAs(outcome) => {
                write!(f, "`{on}` comes first and its last rotation ended as `{}`", outcome.label())
            }
            Lag::Baking { until } => write!(f, "`{on}` is done and is watched until {until}"),
        }
    }
}

/// What the credential waits for, if its schedule may not begin yet; of several predecessors, the one that is furthest
/// behind. `record_of` is what is known of each.
#[must_use]
pub fn waits<'r>(
    own: &Record,
    credential: &Credential,
    record_of: impl Fn(&CredentialName) -> Option<&'r Record>,
    now: Timestamp,
) -> Option<Waiting> {
    let mut latest: Option<(Timestamp, &CredentialName)> = None;
    for name in &credential.after {
        let waiting = |why| Some(Waiting { on: name.clone(), why });
        let Some(record) = record_of(name) else { return waiting(Lag::NotRotatedYet) };
        if record.open.is_some() {
            return waiting(Lag::UnderWay);
        }
        let since = |record: &Record| record.current.as_ref().map(|current| current.since);
        if since(record).is_none() || since(record) <= since(own) {
            return waiting(Lag::NotRotatedYet);
        }
        let Some(last) = &record.last else { return waiting(Lag::NotRotatedYet) };
        if last.outcome != PhaseName::Done {
            return waiting(Lag::EndedAs(last.outcome));
        }
        let until = later(last.at, credential.bake);
        latest = latest.max(Some((until, name)));
    }
    let (until, name) = latest.filter(|(until, _)| now < *until)?;
    Some(Waiting { on: name.clone(), why: Lag::Baking { until } })
}

#[cfg(test)]
mod tests;
