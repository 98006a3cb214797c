//! The state of a key in each destination.

use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::ids::VersionId;
use crate::domain::plan::Destination;
use crate::domain::report::Facts;
use crate::domain::successor::PlacementState;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct DestinationReport {
    pub destination: String,
    pub state: DestinationState,
    /// The version that has this state.
    pub version: Option<VersionId>,
    /// It held no key when it was last read: nobody reads it yet. False if it was not read.
    pub is_empty: bool,
}

impl DestinationReport {
    /// In one line.
    #[must_use]
    pub fn described(&self) -> String {
        let version = self.version.as_ref().map(|version| format!(" as {version}")).unwrap_or_default();
        let empty = if self.is_empty { "; it is empty: nobody reads it yet" } else { "" };
        format!("{}: {}{version}{empty}", self.destination, self.state.label())
    }
}

/// The state of a key in a destination: of the new key during a rotation, else of the credential's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DestinationState {
    Absent,
    Staged,
    Current,
    Restored,
}

impl DestinationState {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Staged => "staged",
            Self::Current => "current",
            Self::Restored => "restored",
        }
    }
}

pub(super) fn destinations(facts: Facts<'_>) -> Vec<DestinationReport> {
    let report = |destination: &Destination, state, version: Option<&VersionId>| DestinationReport {
        destination: destination.to_string(),
        state,
        version: version.cloned(),
        is_empty: state == DestinationState::Absent && facts.record.empty_destinations.contains(destination),
    };
    if let Some(rotation) = facts.rotation {
        let placements = rotation.successor().map_or(&[][..], |successor| successor.placements.as_slice());
        let progress = placements.iter().map(|placement| Some(&placement.progress));
        let places = rotation.plan.destinations.iter().zip(progress.chain(std::iter::repeat(None)));
        return places
            .map(|(destination, progress)| match progress {
                None | Some(PlacementState::Absent) => report(destination, DestinationState::Absent, None),
                Some(PlacementState::Staged { version, .. }) => {
                    report(destination, DestinationState::Staged, Some(version))
                }
                Some(PlacementState::Current { version, .. }) => {
                    report(destination, DestinationState::Current, Some(version))
                }
                Some(PlacementState::Restored { version }) => {
                    report(destination, DestinationState::Restored, Some(version))
                }
            })
            .collect();
    }
    let published = &facts.record.published;
    let wanted = facts.policy.map_or(&[][..], |policy| policy.destinations.as_slice());
    let missing =
        wanted.iter().filter(|wanted| !published.iter().any(|known| known.destination.is_same_place(wanted)));
    published
        .iter()
        .map(|known| report(&known.destination, DestinationState::Current, Some(&known.version)))
        .chain(missing.map(|wanted| report(wanted, DestinationState::Absent, None)))
        .collect()
}
