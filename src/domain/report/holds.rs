//! What holds credentials back that is not their own doing, told: holds, those that come before, and places in line.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::domain::hold::{BREAKER, Hold, HoldKind, Holds, Scope};
use crate::domain::ids::{CredentialName, WorkspaceName};
use crate::domain::policy::Policy;
use crate::domain::record::Record;
use crate::domain::report::blocked::Blocked;
use crate::domain::report::{CredentialHealth, CredentialReport, StatusReport};
use crate::domain::waves;

/// One hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HoldReport {
    /// `fleet`, `workspace` or `credential`.
    pub scope: &'static str,
    /// Which workspace or credential.
    pub name: Option<String>,
    pub what: HoldKind,
    pub by: String,
    pub why: String,
    pub since: Timestamp,
    /// What lifts it.
    pub way_out: String,
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
            way_out: hold.way_out(),
        }
    }

    /// Whether it is by a breaker that tripped, not by a person.
    #[must_use]
    pub fn is_breakers(&self) -> bool {
        self.by == BREAKER
    }

    /// The scope in one word or two.
    #[must_use]
    pub fn place(&self) -> String {
        self.name.as_ref().map_or_else(|| self.scope.to_owned(), |name| format!("{} {name}", self.scope))
    }
}

/// What a credential is seen against.
pub struct Around<'a> {
    pub holds: &'a Holds,
    /// Empty where none is at hand.
    pub policy: &'a Policy,
    /// What is known of other credentials: at least of those that come before one that is told of.
    pub records: &'a BTreeMap<CredentialName, Record>,
}

impl StatusReport {
    /// Adds what holds credentials back that is not their own doing.
    #[must_use]
    pub fn restrained(self, around: &Around<'_>) -> Self {
        let Self {
            schema_version: _,
            at,
            attention: _,
            mut credentials,
            holds: _,
            failing_channels,
            remarks,
        } = self;
        let mut under_way: BTreeMap<WorkspaceName, usize> = BTreeMap::new();
        for report in credentials.iter().filter(|report| report.rotation.is_some()) {
            if let Some(workspace) = report.workspace.clone() {
                *under_way.entry(workspace).or_default() += 1;
            }
        }
        for report in &mut credentials {
            report.restrain(around, Some(&under_way), at);
        }
        let mut report = Self::new(credentials, at);
        report.attention |= around.holds.all().iter().any(Hold::is_breakers);
        report.holds = around.holds.all().iter().map(HoldReport::new).collect();
        report.told_by(failing_channels).remarked(remarks)
    }
}

impl CredentialReport {
    /// As [`StatusReport::restrained`], of one credential alone: its place in line is not known then.
    #[must_use]
    pub fn restrained(mut self, around: &Around<'_>, now: Timestamp) -> Self {
        self.restrain(around, None, now);
        self
    }

    fn restrain(
        &mut self,
        around: &Around<'_>,
        under_way: Option<&BTreeMap<WorkspaceName, usize>>,
        now: Timestamp,
    ) {
        let name = self.credential.clone();
        let workspace = self.workspace.clone();
        self.held = around.holds.on(workspace.as_ref(), &name).map(HoldReport::new).collect();
        if matches!(
            self.condition,
            CredentialHealth::Parked | CredentialHealth::Blocked | CredentialHealth::Damaged
        ) {
            return;
        }
        let emergency = self.rotation.as_ref().is_some_and(|rotation| rotation.emergency);
        let hold = self
            .next_deed(now)
            .and_then(|deed| around.holds.stops(deed, workspace.as_ref(), &name, emergency));
        if let Some(hold) = hold {
            self.summary = format!("{}; {hold}", self.summary);
            self.condition = self.condition.max(CredentialHealth::Waiting);
            self.attention |= hold.is_breakers();
            self.blocked = Some(if hold.is_breakers() { Blocked::Breaker } else { Blocked::Operator });
            self.next_command = Some(hold.way_out());
            return;
        }
        let is_due = self.rotation.is_none() && self.next_due.is_some_and(|due| due <= now);
        let (true, Some(credential), Some(own)) =
            (is_due && !self.asked, around.policy.credentials.get(&name), around.records.get(&name))
        else {
            return;
        };
        let waiting = waves::waits(own, credential, |name| around.records.get(name), now);
        self.blocked = self.blocked.or_else(|| waiting.as_ref().map(|_| Blocked::Wave));
        self.waits_for = waiting.map(|waiting| waiting.to_string()).or_else(|| {
            let workspace = workspace?;
            let places = around.policy.workspaces.get(&workspace)?.overlaps_at_once;
            let taken = *under_way?.get(&workspace)?;
            (taken >= places)
                .then(|| format!("{taken} rotations are under way in `{workspace}`, and no more may be"))
        });
        if let Some(waits_for) = &self.waits_for {
            self.blocked = self.blocked.or(Some(Blocked::Turn));
            self.summary = format!("it is due and waits for its turn: {waits_for}");
            self.condition = self.condition.max(CredentialHealth::Waiting);
        }
    }

    /// What would be done next that a hold can forbid, if it would be done now.
    fn next_deed(&self, now: Timestamp) -> Option<HoldKind> {
        let Some(rotation) = &self.rotation else {
            let due = self.asked || self.key_id.is_none() || self.next_due.is_some_and(|due| due <= now);
            return due.then_some(HoldKind::Minting);
        };
        rotation.phase.row().held_by
    }
}
