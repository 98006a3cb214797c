//! Errors and warnings of a policy, shown with position, key, rule and fix. Never a line or a value of the file: it may
//! be a misplaced secret.

use std::fmt;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The policy is rejected.
    Error,
    /// The policy is valid, but probably not what was intended.
    Warning,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    pub severity: Severity,
    /// Both count from 1, columns in characters. `None` if the problem has no position.
    pub line: Option<usize>,
    pub column: Option<usize>,
    /// The key, such as `credentials.tts.overlap.at_least`; empty for the file as a whole.
    pub key: String,
    /// What is wrong.
    pub rule: String,
    /// How to fix it.
    pub help: String,
}

/// Every problem of one file, in the order of their positions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostics {
    /// The file, as named by the caller.
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
                Severity::Warning => "warning",
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
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        write!(f, "{}: {errors} error{}, {warnings} warning{}", self.path, plural(errors), plural(warnings))
    }
}

impl std::error::Error for Diagnostics {}
