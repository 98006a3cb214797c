//! The findings of the doctor: each with a severity and a suggested fix, the worst first. Pure.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

/// The severity of a finding, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Rotations stop until it is fixed.
    Error,
    /// Rotations work, and will run into it later.
    Warning,
    /// It cannot be checked from here, or only by a write.
    Unknown,
    Ok,
}

impl Severity {
    pub const ALL: [Self; 4] = [Self::Error, Self::Warning, Self::Unknown, Self::Ok];

    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
            Self::Ok => "ok",
        }
    }
}

/// A check. The labels are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    User,
    PolicyFile,
    Schedule,
    Secret,
    Tokens,
    Clock,
    Traces,
    Dns,
    Certificate,
    AdminKey,
    ProviderClock,
    Capabilities,
    Analytics,
    AuditLog,
    ServiceAccount,
    Key,
    Evidence,
    Destinations,
    /// A check that only stores of one kind have.
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
    /// What is checked, for the documentation.
    pub checks: &'static str,
}

impl Check {
    /// Every check but those of stores, which their kinds declare.
    pub const GENERAL: [Self; 25] = [
        Self::User,
        Self::PolicyFile,
        Self::Schedule,
        Self::Secret,
        Self::Tokens,
        Self::Clock,
        Self::Traces,
        Self::Dns,
        Self::Certificate,
        Self::AdminKey,
        Self::ProviderClock,
        Self::Capabilities,
        Self::Analytics,
        Self::AuditLog,
        Self::ServiceAccount,
        Self::Key,
        Self::Evidence,
        Self::Destinations,
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
            Self::Schedule => "schedule",
            Self::Secret => "secret",
            Self::Tokens => "tokens",
            Self::Clock => "clock",
            Self::Traces => "traces",
            Self::Dns => "dns",
            Self::Certificate => "certificate",
            Self::AdminKey => "admin_key",
            Self::ProviderClock => "provider_clock",
            Self::Capabilities => "capabilities",
            Self::Analytics => "analytics",
            Self::AuditLog => "audit_log",
            Self::ServiceAccount => "service_account",
            Self::Key => "key",
            Self::Evidence => "evidence",
            Self::Destinations => "destinations",
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

/// The result of one check. Never holds a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct CheckResult {
    pub severity: Severity,
    pub check: Check,
    /// The part of the policy, or the path or address, that was checked.
    pub subject: String,
    pub message: String,
    /// The suggested fix; `null` if the severity is `ok`.
    pub fix: Option<String>,
}

impl CheckResult {
    #[must_use]
    pub fn ok(check: Check, subject: impl Into<String>, message: impl Into<String>) -> Self {
        Self { severity: Severity::Ok, check, subject: subject.into(), message: message.into(), fix: None }
    }

    #[must_use]
    pub fn error(
        check: Check,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Error, fix: Some(fix.into()), ..Self::ok(check, subject, message) }
    }

    #[must_use]
    pub fn warning(
        check: Check,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(check, subject, message, fix) }
    }

    #[must_use]
    pub fn unknown(
        check: Check,
        subject: impl Into<String>,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Unknown, ..Self::error(check, subject, message, fix) }
    }

    /// The check itself failed.
    #[must_use]
    pub fn panicked(subject: impl Into<String>) -> Self {
        let fix = "this is a bug in rekeyd; please report it with the output on standard error";
        Self::warning(Check::User, subject, "the check panicked", fix)
    }
}

/// Every finding of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    findings: Vec<CheckResult>,
}

impl Report {
    #[must_use]
    pub fn new(mut findings: Vec<CheckResult>) -> Self {
        findings.sort();
        findings.dedup();
        Self { findings }
    }

    /// The worst first.
    #[must_use]
    pub fn findings(&self) -> &[CheckResult] {
        &self.findings
    }

    /// The worst severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.findings.first().map_or(Severity::Ok, |worst| worst.severity)
    }

    /// The number of findings of each severity, zeros included.
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
            CheckResult::ok(Check::Clock, "this machine", "right"),
            CheckResult::unknown(Check::Evidence, "credential `x`", "unknown", "try"),
            CheckResult::error(Check::AdminKey, "workspace `prod`", "dead", "renew"),
            CheckResult::warning(Check::Disk, "/", "full", "tidy"),
        ]);
        let severities: Vec<Severity> = report.findings().iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, Severity::ALL);
        assert_eq!(report.severity(), Severity::Error);
        assert_eq!(Report::new(Vec::new()).severity(), Severity::Ok);
    }

    #[test]
    fn a_label_is_what_programs_are_told() {
        for severity in Severity::ALL {
            assert_eq!(serde_json::json!(severity), severity.label());
        }
    }
}
