//! What an examination by `rekeyd doctor` finds: each finding with its severity and a suggested fix, the worst first.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// How bad it is, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Rotations stop, or never begin, until it is mended.
    Broken,
    /// Rotations go on, and something will hurt later.
    Doubtful,
    /// It cannot be told from here without changing something, or not at all.
    Unproven,
    Fine,
}

impl Severity {
    pub const ALL: [Self; 4] = [Self::Broken, Self::Doubtful, Self::Unproven, Self::Fine];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Doubtful => "doubtful",
            Self::Unproven => "unproven",
            Self::Fine => "fine",
        }
    }
}

/// What was examined. The labels are stable: programs rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    User,
    PolicyFile,
    Promises,
    Secret,
    Tokens,
    Clock,
    Name,
    Certificate,
    AdminKey,
    ProviderClock,
    Protections,
    Analytics,
    AuditLog,
    ServiceAccount,
    Key,
    Evidence,
    /// What only stores of one kind have.
    Store(StoreCheck),
    Journal,
    StateDirectory,
    Disk,
    Listen,
    Socket,
    Probe,
    Command,
}

/// A check of one kind of store, in the order of kinds and of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreCheck {
    pub kind: &'static str,
    pub step: u8,
    pub label: &'static str,
    /// What is examined, for the documentation.
    pub examines: &'static str,
}

impl Check {
    /// Every check but those of stores, which their kinds declare.
    pub const GENERAL: [Self; 23] = [
        Self::User,
        Self::PolicyFile,
        Self::Promises,
        Self::Secret,
        Self::Tokens,
        Self::Clock,
        Self::Name,
        Self::Certificate,
        Self::AdminKey,
        Self::ProviderClock,
        Self::Protections,
        Self::Analytics,
        Self::AuditLog,
        Self::ServiceAccount,
        Self::Key,
        Self::Evidence,
        Self::Journal,
        Self::StateDirectory,
        Self::Disk,
        Self::Listen,
        Self::Socket,
        Self::Probe,
        Self::Command,
    ];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::PolicyFile => "policy_file",
            Self::Promises => "promises",
            Self::Secret => "secret",
            Self::Tokens => "tokens",
            Self::Clock => "clock",
            Self::Name => "name",
            Self::Certificate => "certificate",
            Self::AdminKey => "admin_key",
            Self::ProviderClock => "provider_clock",
            Self::Protections => "protections",
            Self::Analytics => "analytics",
            Self::AuditLog => "audit_log",
            Self::ServiceAccount => "service_account",
            Self::Key => "key",
            Self::Evidence => "evidence",
            Self::Store(check) => check.label,
            Self::Journal => "journal",
            Self::StateDirectory => "state_directory",
            Self::Disk => "disk",
            Self::Listen => "listen",
            Self::Socket => "socket",
            Self::Probe => "probe",
            Self::Command => "command",
        }
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

/// One thing that was looked at, and what is to be said about it. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    pub severity: Severity,
    pub check: Check,
    /// The part of the policy, or the place, that it is about.
    pub about: String,
    pub what: String,
    /// What to do, for everything that is not fine.
    pub fix: Option<String>,
}

impl Finding {
    #[must_use]
    pub fn fine(check: Check, about: impl Into<String>, what: impl Into<String>) -> Self {
        Self { severity: Severity::Fine, check, about: about.into(), what: what.into(), fix: None }
    }

    #[must_use]
    pub fn broken(
        check: Check,
        about: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Broken, fix: Some(fix.into()), ..Self::fine(check, about, what) }
    }

    #[must_use]
    pub fn doubtful(
        check: Check,
        about: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Doubtful, ..Self::broken(check, about, what, fix) }
    }

    #[must_use]
    pub fn unproven(
        check: Check,
        about: impl Into<String>,
        what: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Unproven, ..Self::broken(check, about, what, fix) }
    }

    /// The examination itself failed.
    #[must_use]
    pub fn broken_off(about: impl Into<String>) -> Self {
        let fix = "this is a defect of rekeyd: please report it with what stands on standard error";
        Self::doubtful(Check::User, about, "the examination broke off", fix)
    }
}

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    findings: Vec<Finding>,
}

impl Report {
    #[must_use]
    pub fn new(mut findings: Vec<Finding>) -> Self {
        findings.sort();
        findings.dedup();
        Self { findings }
    }

    /// The worst first.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How bad it is altogether.
    #[must_use]
    pub fn verdict(&self) -> Severity {
        self.findings.first().map_or(Severity::Fine, |worst| worst.severity)
    }

    /// How many there are of each severity, none included.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let count = |severity: Severity| self.findings.iter().filter(|it| it.severity == severity).count();
        Severity::ALL.into_iter().map(|severity| (severity.label(), count(severity))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_comes_first_and_decides() {
        let report = Report::new(vec![
            Finding::fine(Check::Clock, "this machine", "right"),
            Finding::unproven(Check::Evidence, "credential `x`", "unknown", "try"),
            Finding::broken(Check::AdminKey, "workspace `prod`", "dead", "renew"),
            Finding::doubtful(Check::Disk, "/", "full", "tidy"),
        ]);
        let severities: Vec<Severity> = report.findings().iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, Severity::ALL);
        assert_eq!(report.verdict(), Severity::Broken);
        assert_eq!(Report::new(Vec::new()).verdict(), Severity::Fine);
    }

    #[test]
    fn a_label_is_what_programs_are_told() {
        for severity in Severity::ALL {
            assert_eq!(serde_json::json!(severity), severity.label());
        }
    }
}
