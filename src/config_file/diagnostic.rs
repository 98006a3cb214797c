//! What is wrong with a policy, and how that is shown: position, key, rule and remedy. Never a line or a value of
//! the file: any of them may be a secret in the wrong place.

use std::fmt;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The policy cannot be used.
    Error,
    /// The policy can be used and probably means something else.
    Lint,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Both count from 1, columns in characters. `None`: the problem has no place in the file.
    pub line: Option<usize>,
    pub column: Option<usize>,
    /// The key, such as `credentials.tts.overlap.at_least`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub rule: String,
    /// What to write instead.
    pub help: String,
}

/// Every problem of one file, in the order of their places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostics {
    /// The file, as it was named.
    pub path: String,
    pub problems: Vec<Diagnostic>,
}

impl Diagnostics {
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == Severity::Error)
    }

    fn count(&self, severity: Severity) -> usize {
        self.problems.iter().filter(|problem| problem.severity == severity).count()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            let severity = match problem.severity {
                Severity::Error => "error",
                Severity::Lint => "lint",
            };
            match problem.key.as_str() {
                "" => writeln!(f, "{severity}: {}", problem.rule)?,
                key => writeln!(f, "{severity}: `{key}`: {}", problem.rule)?,
            }
            match (problem.line, problem.column) {
                (Some(line), Some(column)) => writeln!(f, "  --> {}:{line}:{column}", self.path)?,
                (_, _) => writeln!(f, "  --> {}", self.path)?,
            }
            if !problem.help.is_empty() {
                writeln!(f, "   = help: {}", problem.help)?;
            }
            writeln!(f)?;
        }
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let (errors, lints) = (self.count(Severity::Error), self.count(Severity::Lint));
        write!(f, "{}: {errors} error{}, {lints} lint{}", self.path, plural(errors), plural(lints))
    }
}

impl std::error::Error for Diagnostics {}
