//! A rotation as a sequence of phases: the past ones with their times, and the expected ones.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::event::Event;
use crate::domain::phase::{Path, Phase, PhaseName};
use crate::domain::rotation::Rotation;
use crate::domain::step::step;

/// The phases of one rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// In the order in which they were entered; the last is the current one.
    pub passed: Vec<PhaseInterval>,
    /// The phases that follow if nothing fails.
    pub ahead: Vec<PhaseName>,
}

/// The time spent in one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PhaseInterval {
    pub phase: PhaseName,
    pub from: Timestamp,
    /// `None` for the current phase.
    pub until: Option<Timestamp>,
}

impl Progress {
    /// Replays the events of one rotation, in their order, up to the first invalid one.
    #[must_use]
    pub fn follow(events: &[(Timestamp, Event)]) -> Option<Self> {
        let (first, rest) = events.split_first()?;
        let (at, Event::Begun(plan)) = first else { return None };
        let mut rotation = Rotation::begin(plan.as_ref().clone());
        let mut passed = vec![PhaseInterval { phase: rotation.phase.name(), from: *at, until: None }];
        for (at, event) in rest {
            let Ok(next) = step(&rotation, event, *at) else { break };
            if next.phase.name() != rotation.phase.name() {
                if let Some(last) = passed.last_mut() {
                    last.until = Some(*at);
                }
                passed.push(PhaseInterval { phase: next.phase.name(), from: *at, until: None });
            }
            rotation = next;
        }
        Some(Self { passed, ahead: ahead(&rotation.phase) })
    }
}

/// For a parked rotation, this begins with the phase that it resumes from.
fn ahead(phase: &Phase) -> Vec<PhaseName> {
    if let Phase::Parked { was, .. } = phase {
        return std::iter::once(was.name()).chain(ahead(was)).collect();
    }
    let name = phase.name();
    let path = name.row().path;
    if path == Path::Aside {
        return Vec::new();
    }
    let same_path = |other: &PhaseName| other.row().path == path;
    PhaseName::ALL.into_iter().filter(same_path).skip_while(|other| *other != name).skip(1).collect()
}
