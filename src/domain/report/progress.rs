//! A rotation as the steps of its way: those behind it with their times, and those ahead.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::event::Event;
use crate::domain::phase::{Path, Phase, PhaseName};
use crate::domain::rotation::Rotation;
use crate::domain::step::step;

/// The way of one rotation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// In the order in which they were entered; the last one is where it stands.
    pub passed: Vec<PhaseInterval>,
    /// What follows if nothing goes wrong.
    pub ahead: Vec<PhaseName>,
}

/// One stay in one phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PhaseInterval {
    pub phase: PhaseName,
    pub from: Timestamp,
    /// `None` for the phase that it is in.
    pub until: Option<Timestamp>,
}

impl Progress {
    /// Follows the events of one rotation, in their order, as far as they make sense.
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

/// A parked rotation has the phase that it goes on from ahead of it.
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
