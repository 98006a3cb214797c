//! The exit codes of every command, and how errors are reported: as text, or as JSON.

use std::fmt::{self, Display};
use std::io::{self, Write};
use std::process::ExitCode;

use serde_json::{Value, json};

/// The exit codes of every command; `docs/cli.md` and the manual pages list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    CommandError = 1,
    Usage = 2,
    /// The policy has errors.
    PolicyInvalid = 3,
    /// With `--exit-code`: a credential needs an operator, or a rotation is pending. The audit log does not verify.
    NeedsAttention = 4,
    /// The daemon cannot be reached.
    Unreachable = 5,
    /// Another process holds the journal's lock.
    Locked = 75,
    /// The daemon cannot start until the policy, or a file that it refers to, is fixed.
    BadConfiguration = 78,
}

impl Exit {
    pub(super) const ALL: [Self; 7] = [
        Self::CommandError,
        Self::Usage,
        Self::PolicyInvalid,
        Self::NeedsAttention,
        Self::Unreachable,
        Self::Locked,
        Self::BadConfiguration,
    ];

    /// The entry of the exit code tables.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::CommandError => {
                "failed or refused, or the answer is no; the message says why and what to do next"
            }
            Self::Usage => "invalid arguments",
            Self::PolicyInvalid => "the policy has errors or is missing (`run`, `agent`: 78)",
            Self::NeedsAttention => {
                "`status --exit-code`: an operator is needed; `plan --exit-code`: a rotation is pending; `audit verify`, `audit compare`: a mismatch was found"
            }
            Self::Unreachable => "the daemon cannot be reached",
            Self::Locked => "`run`: another rekeyd holds the journal",
            Self::BadConfiguration => {
                "`run`, `agent`: the policy or configuration is invalid; restarting does not help"
            }
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Reports `why` on the standard error.
pub(super) fn because(exit: Exit, why: &impl Display) -> ExitCode {
    // There is no other place to report to.
    drop(writeln!(io::stderr(), "rekeyd: {why}"));
    exit.into()
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommandError {
    pub(super) exit: Exit,
    /// For programs; part of the interface.
    pub(super) code: String,
    /// For operators.
    pub(super) message: String,
}

impl CommandError {
    pub(super) fn new(exit: Exit, code: &str, message: impl Display) -> Self {
        Self { exit, code: code.to_owned(), message: message.to_string() }
    }

    pub(super) fn usage(why: impl Display) -> Self {
        Self::new(Exit::Usage, "usage", why)
    }

    pub(super) fn policy(problems: impl Display) -> Self {
        Self::new(Exit::PolicyInvalid, "policy_invalid", format!("the policy is invalid\n{problems}"))
    }

    /// Adds what to do next.
    pub(super) fn with_advice(self, advice: &str) -> Self {
        Self { message: format!("{}\n{advice}", self.message), ..self }
    }

    pub(super) fn journal(why: impl Display) -> Self {
        Self::new(Exit::CommandError, "journal_unusable", why)
    }

    pub(super) fn unknown(what: impl Display) -> Self {
        Self::new(Exit::CommandError, "not_found", what)
    }

    pub(super) fn other(why: impl Display) -> Self {
        Self::new(Exit::CommandError, "failed", why)
    }

    /// Reports text on the standard error, or `{"error": {"code", "message"}}` on the standard output in place of the
    /// result.
    pub(super) fn report(&self, as_json: bool) -> ExitCode {
        if !as_json {
            return because(self.exit, self);
        }
        let mut document = json!({});
        self.amend(&mut document);
        match writeln!(io::stdout(), "{document}") {
            Ok(()) => self.exit.into(),
            Err(_) => because(self.exit, self),
        }
    }

    /// Adds the error to a document that holds more than the error.
    pub(super) fn amend(&self, answer: &mut Value) {
        if let Some(answer) = answer.as_object_mut() {
            answer.insert("error".to_owned(), json!({ "code": self.code, "message": self.message }));
        }
    }
}

impl Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CommandError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_document_is_this_one() {
        let document = include_str!("../../docs/cli.md");
        for exit in Exit::ALL {
            let row = format!("| {} | {} |\n", exit as u8, exit.meaning());
            assert!(document.contains(&row), "missing: {row}");
        }
    }
}
