//! What people are told without asking: troubles that are true now, and what changed of that.
//!
//! A trouble has a key that stays the same for as long as it lasts. [`troubles`] says which are true, [`thread`] what
//! of that is news, [`tales`] what is told once, and [`template`] in which words.

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

/// How urgent, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Info,
    /// A person is needed in working hours.
    Ticket,
    /// A person is needed now.
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

/// Whom a trouble is about.
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

/// Something that somebody should know, or that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// The same for as long as it is the same trouble.
    pub key: String,
    pub severity: Severity,
    /// In one word, as the runbook has it.
    pub what: String,
    pub subject: Subject,
    /// In one line for a person.
    pub summary: String,
    /// What that person would type next.
    pub next: Option<String>,
    /// Where the runbook tells of it.
    pub anchor: String,
    pub since: Timestamp,
    /// It passes by itself more often than not: told only when it has lasted so long.
    #[serde(skip)]
    pub passes_within: SignedDuration,
}

impl Alert {
    /// What others said is in a summary, and could be anything.
    fn in_one_line(&self) -> Self {
        let next = self.next.as_deref().map(one_line);
        Self { summary: one_line(&self.summary), next, ..self.clone() }
    }

    /// Whether it is told of as another trouble than before, whatever its words are.
    #[must_use]
    pub fn has_changed_from(&self, before: &Self) -> bool {
        (self.severity, &self.what) != (before.severity, &before.what)
    }
}

/// What there is to say of a trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum News {
    Opened,
    /// It is worse, better or something else now.
    Changed,
    Resolved,
    /// It happened, and nothing follows from it.
    Happened,
}

impl News {
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

/// One piece of news for one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Its place in the outbox, which gives it; 0 before that.
    #[serde(skip)]
    pub number: u64,
    /// The same at every delivery.
    pub id: String,
    pub channel: ChannelName,
    pub news: News,
    pub trouble: Alert,
    pub at: Timestamp,
    /// How often its delivery has failed.
    pub failures: u32,
    /// Not delivered before this.
    pub due: Timestamp,
}

impl Notification {
    /// What a person would type next, where there is anything left to do.
    #[must_use]
    pub fn next(&self) -> Option<&str> {
        match self.news {
            News::Opened | News::Changed | News::Happened => self.trouble.next.as_deref(),
            News::Resolved => None,
        }
    }

    #[must_use]
    pub fn new(channel: &ChannelName, news: News, trouble: &Alert, at: Timestamp) -> Self {
        let named = format!("{channel}\n{}\n{}\n{at:.9}", news.label(), trouble.key);
        let id = Sha256::digest(named).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self {
            number: 0,
            id,
            channel: channel.clone(),
            news,
            trouble: trouble.in_one_line(),
            at,
            failures: 0,
            due: at,
        }
    }

    /// The letter with each of its texts in one line: none of them makes a line of its own.
    #[must_use]
    pub fn in_one_line(&self) -> Self {
        Self { trouble: self.trouble.in_one_line(), ..self.clone() }
    }
}

/// What a channel wants to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interest {
    pub at_least: Severity,
    /// What is told once.
    pub on: BTreeSet<Occurrence>,
    /// Empty, with `credentials` empty too: everything.
    pub workspaces: BTreeSet<WorkspaceName>,
    pub credentials: BTreeSet<CredentialName>,
}

impl Interest {
    #[must_use]
    pub fn wants(&self, trouble: &Alert) -> bool {
        trouble.severity >= self.at_least && self.covers(&trouble.subject)
    }

    /// What is about rekeyd itself concerns everybody.
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

/// How a channel takes what it is told: kept, so that whoever looks at the journal sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failing {
    pub channel: ChannelName,
    /// Since when deliveries have failed, and why the last one did.
    pub since: Timestamp,
    pub why: String,
}
