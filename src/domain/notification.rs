//! Notifications to operators about alerts and occurrences.
//!
//! [`alerts`] derives the firing alerts, [`incidents`] decides which notifications follow from a change of them,
//! [`occurrences`] adds those that are sent once, and [`template`] has their text. The key of an alert is stable for as
//! long as it fires.

pub mod alerts;
pub mod incidents;
pub mod occurrences;
pub mod template;

use std::collections::BTreeSet;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::ids::{ChannelName, CredentialName, WorkspaceName};
use crate::domain::notification::occurrences::Occurrence;
use crate::domain::sanitize::one_line;

/// The severity, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For information.
    Info,
    /// Needs an operator during working hours.
    Ticket,
    /// Needs an operator now.
    Page,
}

impl Severity {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Ticket => "ticket",
            Self::Page => "page",
        }
    }
}

/// The subject of an alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// rekeyd itself.
    Rekeyd,
    Workspace(WorkspaceName),
    Credential {
        name: CredentialName,
        workspace: Option<WorkspaceName>,
    },
}

impl Subject {
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Rekeyd => "rekeyd",
            Self::Workspace(_) => "workspace",
            Self::Credential { .. } => "credential",
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Rekeyd => "rekeyd",
            Self::Workspace(name) => name.as_str(),
            Self::Credential { name, workspace: _ } => name.as_str(),
        }
    }

    #[must_use]
    pub fn workspace(&self) -> Option<&WorkspaceName> {
        match self {
            Self::Rekeyd => None,
            Self::Workspace(name) => Some(name),
            Self::Credential { name: _, workspace } => workspace.as_ref(),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rekeyd => f.write_str("rekeyd"),
            Self::Workspace(name) => write!(f, "workspace {name}"),
            Self::Credential { name, workspace: _ } => write!(f, "{name}"),
        }
    }
}

/// A condition that an operator should know about, or an occurrence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// Identifies the alert for as long as it fires.
    pub key: String,
    pub severity: Severity,
    /// The label of the condition, as in the runbook.
    pub reason: String,
    pub subject: Subject,
    /// One line of text.
    pub summary: String,
    /// The command that an operator runs next.
    pub next: Option<String>,
    /// The anchor of the runbook entry.
    pub anchor: String,
    pub since: Timestamp,
    /// How long the condition has to last before it opens an incident, because it usually recovers by itself.
    #[serde(skip)]
    pub grace: SignedDuration,
}

impl Alert {
    /// Texts from outside are part of a summary and can contain anything.
    fn in_one_line(&self) -> Self {
        let next = self.next.as_deref().map(one_line);
        Self { summary: one_line(&self.summary), next, ..self.clone() }
    }

    /// Whether severity or reason changed; other texts do not matter.
    #[must_use]
    pub fn has_changed_from(&self, before: &Self) -> bool {
        (self.severity, &self.reason) != (before.severity, &before.reason)
    }
}

/// The event that a notification reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationEvent {
    Opened,
    /// The severity or the reason changed.
    Changed,
    Resolved,
    /// An occurrence, which opens no incident.
    Happened,
}

impl NotificationEvent {
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Changed => "changed",
            Self::Resolved => "resolved",
            Self::Happened => "happened",
        }
    }
}

/// A message to one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Assigned by the outbox; 0 before that.
    #[serde(skip)]
    pub number: u64,
    /// The same at every delivery attempt.
    pub id: String,
    pub channel: ChannelName,
    pub event: NotificationEvent,
    pub alert: Alert,
    pub at: Timestamp,
    /// The number of failed delivery attempts.
    pub failures: u32,
    /// The earliest time of the next delivery attempt.
    pub due: Timestamp,
}

impl Notification {
    /// The command that an operator runs next, unless the incident is resolved.
    #[must_use]
    pub fn next(&self) -> Option<&str> {
        match self.event {
            NotificationEvent::Opened | NotificationEvent::Changed | NotificationEvent::Happened => {
                self.alert.next.as_deref()
            }
            NotificationEvent::Resolved => None,
        }
    }

    #[must_use]
    pub fn new(channel: &ChannelName, event: NotificationEvent, alert: &Alert, at: Timestamp) -> Self {
        let named = format!("{channel}\n{}\n{}\n{at:.9}", event.label(), alert.key);
        let id = Sha256::digest(named).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self {
            number: 0,
            id,
            channel: channel.clone(),
            event,
            alert: alert.in_one_line(),
            at,
            failures: 0,
            due: at,
        }
    }

    /// The notification with each of its texts on one line, so that no text can add a line.
    #[must_use]
    pub fn in_one_line(&self) -> Self {
        Self { alert: self.alert.in_one_line(), ..self.clone() }
    }
}

/// The notifications that a channel receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub at_least: Severity,
    /// The occurrences to send.
    pub on: BTreeSet<Occurrence>,
    /// With `credentials`, limits the subjects; if both are empty, there is no limit.
    pub workspaces: BTreeSet<WorkspaceName>,
    pub credentials: BTreeSet<CredentialName>,
}

impl Subscription {
    #[must_use]
    pub fn matches(&self, alert: &Alert) -> bool {
        alert.severity >= self.at_least && self.covers(&alert.subject)
    }

    /// Every channel receives alerts about rekeyd itself.
    #[must_use]
    pub fn covers(&self, subject: &Subject) -> bool {
        let everything = self.workspaces.is_empty() && self.credentials.is_empty();
        let of_workspace = subject.workspace().is_some_and(|name| self.workspaces.contains(name));
        everything
            || match subject {
                Subject::Rekeyd => true,
                Subject::Workspace(_) => of_workspace,
                Subject::Credential { name, workspace: _ } => of_workspace || self.credentials.contains(name),
            }
    }
}

/// The delivery failure of a channel, stored in the journal for `rekeyd status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelFailure {
    pub channel: ChannelName,
    /// When deliveries started to fail; `why` is the error of the last attempt.
    pub since: Timestamp,
    pub why: String,
}
