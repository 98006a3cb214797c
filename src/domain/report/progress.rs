//! A rotation as the steps of its way: those behind it with their times, and those ahead.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::event::Event;
use crate::domain::phase::{Phase, PhaseName};
use crate::domain::rotation::Rotation;
use crate::domain::step::step;

const FORWARD: [PhaseName; 10] = [
    PhaseName::Due,
    PhaseName::Minting,
    PhaseName::Staging,
    PhaseName::Verifying,
    PhaseName::Promoting,
    PhaseName::Overlap,
    PhaseName::Disabling,
    PhaseName::Quarantine,
    PhaseName::Revoking,
    PhaseName::Done,
];
const BACK: [PhaseName; 4] =
    [PhaseName::RollingBack, PhaseName::Returning, PhaseName::Withdrawing, PhaseName::RolledBack];

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
    let after = |way: &[PhaseName]| -> Vec<PhaseName> {
        way.iter().skip_while(|name| **name != phase.name()).skip(1).copied().collect()
    };
    let forward = after(&FORWARD);
    if forward.is_empty() { after(&BACK) } else { forward }
}
