//! What blocks credentials from outside: holds, waves and the workspace's rotation slots.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::hold::{BREAKER, Hold, HoldKind, Holds, Scope};
use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::plan::Reason;
use crate::domain::policy::{Credential, Policy};
use crate::domain::record::Record;
use crate::domain::report::advice::{NEW_RELEASED, RELEASED};
use crate::domain::report::blocked::Blocked;
use crate::domain::report::held_back::{HeldBack, WorkspaceState};
use crate::domain::report::{CredentialHealth, CredentialReport, StatusReport};
use crate::domain::waves;

/// One hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HoldReport {
    /// `fleet`, `workspace` or `credential`.
    pub scope: &'static str,
    /// Name of the workspace or credential.
    pub name: Option<String>,
    pub what: HoldKind,
    pub by: String,
    pub why: String,
    pub since: Timestamp,
    /// The command that lifts it.
    pub next_command: String,
}

impl HoldReport {
    fn new(hold: &Hold) -> Self {
        let (scope, name) = match &hold.scope {
            Scope::Fleet => ("fleet", None),
            Scope::Workspace(name) => ("workspace", Some(name.to_string())),
            Scope::Credential(name) => ("credential", Some(name.to_string())),
        };
        Self {
            scope,
            name,
            what: hold.what,
            by: hold.by.clone(),
            why: hold.why.clone(),
            since: hold.since,
            next_command: hold.way_out(),
        }
    }

    /// Whether a tripped breaker set it, not an operator.
    #[must_use]
    pub fn is_breakers(&self) -> bool {
        self.by == BREAKER
    }

    /// The scope in one or two words.
    #[must_use]
    pub fn place(&self) -> String {
        self.name.as_ref().map_or_else(|| self.scope.to_owned(), |name| format!("{} {name}", self.scope))
    }
}

/// The surroundings of a credential.
pub struct Around<'a> {
    pub holds: &'a Holds,
    /// Empty if there is none.
    pub policy: &'a Policy,
    /// Records of other credentials: at least of those that a reported one comes after.
    pub records: &'a BTreeMap<CredentialName, Record>,
    /// As far as it is known.
    pub workspaces: &'a BTreeMap<WorkspaceName, WorkspaceState>,
}

/// The rotations in progress in each workspace.
#[derive(Default)]
struct UnderWay(BTreeMap<WorkspaceName, Vec<(CredentialName, Reason)>>);

impl UnderWay {
    /// A first rotation that the first one of `credential` has to wait for.
    fn first_rotation(&self, around: &Around<'_>, credential: &Credential) -> Option<&CredentialName> {
        let limit = around.policy.workspaces.get(&credential.workspace)?.first_rotations_at_once;
        let rotations = self.0.get(&credential.workspace)?;
        let mut first = rotations.iter().filter(|(_, reason)| reason.is_first()).map(|(name, _)| name);
        let found = first.next()?;
        (first.count() + 1 >= limit).then_some(found)
    }
}

impl StatusReport {
    /// Adds what blocks credentials from outside.
    #[must_use]
    pub fn with_holds(self, around: &Around<'_>) -> Self {
        let Self {
            schema_version: _,
            at,
            attention: _,
            mut credentials,
            holds: _,
            failing_channels,
            conditions,
        } = self;
        let mut under_way = UnderWay::default();
        for report in &credentials {
            if let (Some(workspace), Some(rotation)) = (report.workspace.clone(), &report.rotation) {
                let rotations = under_way.0.entry(workspace).or_default();
                rotations.push((report.credential.clone(), rotation.reason));
            }
        }
        for report in &mut credentials {
            report.apply_holds(around, Some(&under_way), at);
            report.apply_surroundings(around, at);
            report.apply_removal(around.policy);
            report.unrotated = report.find_unrotated(around.policy, at);
            report.apply_left(around.records.get(&report.credential), around.policy, at);
        }
        let mut report = Self::new(credentials, at);
        report.attention |= around.holds.all().iter().any(Hold::is_breakers);
        report.holds = around.holds.all().iter().map(HoldReport::new).collect();
        report.with_failing_channels(failing_channels).with_conditions(conditions)
    }
}

impl CredentialReport {
    /// As [`StatusReport::with_holds`] for one credential; the workspace's rotation slots are then unknown.
    #[must_use]
    pub fn with_holds(mut self, around: &Around<'_>, now: Timestamp) -> Self {
        self.apply_holds(around, None, now);
        self.apply_surroundings(around, now);
        self.apply_removal(around.policy);
        self.unrotated = self.find_unrotated(around.policy, now);
        self.apply_left(around.records.get(&self.credential), around.policy, now);
        self
    }

    fn apply_holds(&mut self, around: &Around<'_>, under_way: Option<&UnderWay>, now: Timestamp) {
        let name = self.credential.clone();
        let workspace = self.workspace.clone();
        self.held = around.holds.on(workspace.as_ref(), &name).map(HoldReport::new).collect();
        if matches!(
            self.health,
            CredentialHealth::Parked | CredentialHealth::Blocked | CredentialHealth::Damaged
        ) {
            return;
        }
        let emergency = self.rotation.as_ref().is_some_and(|rotation| rotation.emergency);
        let hold = self
            .next_action(now)
            .and_then(|action| around.holds.stops(action, workspace.as_ref(), &name, emergency));
        if let Some(hold) = hold {
            // Nothing is about to be done while it is held.
            let released = [RELEASED, NEW_RELEASED];
            let summary = released.iter().find_map(|end| self.summary.strip_suffix(end));
            let summary = summary.unwrap_or(&self.summary);
            self.summary = format!("{summary}; {hold}");
            self.health = self.health.max(CredentialHealth::Waiting);
            self.attention |= hold.is_breakers();
            self.blocked = Some(if hold.is_breakers() { Blocked::Breaker } else { Blocked::Operator });
            self.next_command = Some(hold.way_out());
            let by = self.blocked.unwrap_or(Blocked::Operator);
            let why = format!("{hold}; `{}` lifts that", hold.way_out());
            self.held_back = Some(HeldBack { by, why, until: None, alone: true });
            return;
        }
        let is_due = self.rotation.is_none() && self.next_due.is_some_and(|due| due <= now);
        let (true, Some(credential), Some(own)) =
            (is_due && !self.requested, around.policy.credentials.get(&name), around.records.get(&name))
        else {
            return;
        };
        let waiting = waves::waits(own, credential, |name| around.records.get(name), now);
        self.blocked = self.blocked.or_else(|| waiting.as_ref().map(|_| Blocked::Wave));
        self.waits_for = waiting.map(|waiting| waiting.to_string());
        if self.waits_for.is_none()
            && own.why_now(credential, now).is_some_and(Reason::is_first)
            && let Some(first) = under_way.and_then(|under_way| under_way.first_rotation(around, credential))
        {
            self.blocked = self.blocked.or(Some(Blocked::FirstRotations));
            self.waits_for = Some(format!(
                "the first rotation of `{first}`, which must be over first (`first_rotations_at_once`)"
            ));
        }
        self.waits_for = self.waits_for.take().or_else(|| {
            let workspace = workspace?;
            let places = around.policy.workspaces.get(&workspace)?.overlaps_at_once;
            let taken = under_way?.0.get(&workspace)?.len();
            (taken >= places)
                .then(|| format!("`{workspace}` has no free rotation slot ({taken} rotations in progress)"))
        });
        if let Some(waits_for) = &self.waits_for {
            self.blocked = self.blocked.or(Some(Blocked::RotationSlot));
            self.summary = format!("due, waiting: {waits_for}");
            self.health = self.health.max(CredentialHealth::Waiting);
            let why = format!("the rotation waits for {waits_for}");
            let by = self.blocked.unwrap_or(Blocked::RotationSlot);
            self.held_back.get_or_insert(HeldBack { by, why, until: None, alone: true });
        }
    }

    fn apply_surroundings(&mut self, around: &Around<'_>, now: Timestamp) {
        if let Some(name) = self.workspace.clone()
            && let Some(state) = around.workspaces.get(&name)
        {
            self.apply_workspace(&name, state, now);
        }
    }

    /// The next action that a hold can stop, if it is due now.
    fn next_action(&self, now: Timestamp) -> Option<HoldKind> {
        let Some(rotation) = &self.rotation else {
            let due = self.requested || self.key_id.is_none() || self.next_due.is_some_and(|due| due <= now);
            return due.then_some(HoldKind::Minting);
        };
        rotation.phase.row().held_by
    }
}
