//! How commands end: the exit codes, and what is said on standard error.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

/// The exit codes of every command, as the README lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Failed = 1,
    Usage = 2,
    /// `check`: the policy has errors.
    PolicyInvalid = 3,
    /// `status --exit-code`: a credential needs a person; `audit verify`: a record does not fit.
    NeedsAttention = 4,
    /// The daemon does not answer.
    Unreachable = 5,
    /// Another process has the journal: try later.
    Locked = 75,
    /// The daemon cannot start before the policy, or what it refers to, is changed.
    BadConfiguration = 78,
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
