//! How commands end: the exit codes, and what is said when one fails, to people and to programs.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::json;

/// The exit codes of every command, as `docs/cli.md`, the README and the manual pages list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Failed = 1,
    Usage = 2,
    /// The policy has errors.
    PolicyInvalid = 3,
    /// Asked by `--exit-code`: a credential needs a person, or something is to be done. An audit log does not fit.
    NeedsAttention = 4,
    /// The daemon does not answer.
    Unreachable = 5,
    /// Another process has the journal: try later.
    Locked = 75,
    /// The daemon cannot start before the policy, or what it refers to, is changed.
    BadConfiguration = 78,
}

impl Exit {
    pub(super) const ALL: [Self; 7] = [
        Self::Failed,
        Self::Usage,
        Self::PolicyInvalid,
        Self::NeedsAttention,
        Self::Unreachable,
        Self::Locked,
        Self::BadConfiguration,
    ];

    /// For whom reads the exit code's table.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Failed => {
                "failed, refused, or the answer is no; the message says what was attempted, on what, and what to do"
            }
            Self::Usage => "called wrongly",
            Self::PolicyInvalid => "the policy has errors (`run`, `agent`: 78)",
            Self::NeedsAttention => {
                "with `--exit-code`: `status`: a credential, a channel, a store or the journal needs a person; `plan`: something is to be done now; `audit verify`, `audit compare`: something does not fit"
            }
            Self::Unreachable => "the daemon cannot be reached",
            Self::Locked => "`run`: another rekeyd has the journal",
            Self::BadConfiguration => {
                "`run`, `agent`: the policy or configuration, or what it refers to, is wrong; starting again cannot help"
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Says why, and ends with `exit`.
pub(super) fn because(exit: Exit, why: &impl Display) -> ExitCode {
    // Nothing is left to say it to if this fails too.
    drop(writeln!(io::stderr(), "rekeyd: {why}"));
    exit.into()
}

/// Why a command did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) exit: Exit,
    /// For programs; one that was published stays.
    pub(super) code: String,
    /// For people.
    pub(super) message: String,
}

impl Failed {
    pub(super) fn new(exit: Exit, code: &str, message: impl Display) -> Self {
        Self { exit, code: code.to_owned(), message: message.to_string() }
    }

    pub(super) fn policy(problems: impl Display) -> Self {
        Self::new(Exit::PolicyInvalid, "policy_invalid", format!("the policy cannot be used\n{problems}"))
    }

    pub(super) fn journal(why: impl Display) -> Self {
        Self::new(Exit::Failed, "journal_unusable", why)
    }

    pub(super) fn unknown(what: impl Display) -> Self {
        Self::new(Exit::Failed, "not_found", what)
    }

    pub(super) fn other(why: impl Display) -> Self {
        Self::new(Exit::Failed, "failed", why)
    }

    /// People are told on the standard error. Programs, which asked for JSON, find `{"error": {"code", "message"}}` on
    /// the standard output, in the place of the answer.
    pub(super) fn tell(&self, as_json: bool) -> ExitCode {
        if !as_json {
            return because(self.exit, self);
        }
        let told = json!({ "error": { "code": self.code, "message": self.message } });
        match writeln!(io::stdout(), "{told}") {
            Ok(()) => self.exit.into(),
            Err(_) => because(self.exit, self),
        }
    }
}

impl Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failed {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_documents_is_this_one() {
        let documents = [include_str!("../../docs/cli.md"), include_str!("../../README.md")];
        for exit in Exit::ALL {
            let row = format!("| {} | {} |\n", exit as u8, exit.meaning());
            assert!(documents.iter().all(|document| document.contains(&row)), "missing: {row}");
        }
    }
}
