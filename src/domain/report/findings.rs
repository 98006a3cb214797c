//! The summary of a credential's findings, and the suggested command for each.

use crate::domain::finding::{Finding, FindingKind};
use crate::domain::policy::Mode;
use crate::domain::report::advice::Advice;
use crate::domain::report::{CredentialHealth, CredentialReport};

/// The advice for a credential without a rotation in progress.
pub(super) fn advise(report: &CredentialReport) -> Option<Advice> {
    let worst = report.findings.first()?;
    // A held emergency explains why the worst finding is not handled.
    let held = report.findings.iter().skip(1).find(|it| it.kind == FindingKind::EmergencyHeld);
    let held_text = held.map(|held| format!("; {}", one(held))).unwrap_or_default();
    let more = report.findings.len() - 1 - usize::from(held.is_some());
    let more =
        if more == 0 { held_text } else { format!("{held_text}; and {more} more, see `rekeyd status`") };
    Some(Advice {
        health: CredentialHealth::OutOfSync,
        attention: true,
        summary: format!("{}{more}", one(worst)),
        command: command(report),
    })
}

/// Adds the findings to the advice of a rotation in progress; a finding always needs an operator.
pub(super) fn beside(report: &CredentialReport, advice: Advice) -> Advice {
    let Some(worst) = report.findings.first() else { return advice };
    let held = report.findings.iter().any(|it| it.kind == FindingKind::EmergencyHeld);
    let of_findings = command(report).filter(|_| held);
    Advice {
        attention: true,
        summary: format!("{}; {}", advice.summary, one(worst)),
        command: advice.command.or(of_findings),
        ..advice
    }
}

fn one(finding: &Finding) -> String {
    format!("{}: {}", finding.kind.label(), finding.detail)
}

/// The command for the worst finding that a command can fix.
fn command(report: &CredentialReport) -> Option<String> {
    report.findings.iter().find_map(|finding| command_for(report, finding))
}

/// The command for one finding of a report; `None` if rekeyd handles it by itself, or no command can.
#[must_use]
pub fn command_for(report: &CredentialReport, finding: &Finding) -> Option<String> {
    let held = report.findings.iter().any(|it| it.kind == FindingKind::EmergencyHeld);
    let name = &report.credential;
    match finding.kind {
        FindingKind::ExposedPublicly | FindingKind::SelfDisabled | FindingKind::ReportedLeaked
            if !held && report.mode != Some(Mode::Observe) =>
        {
            None
        }
        FindingKind::ExposedPublicly
        | FindingKind::SelfDisabled
        | FindingKind::ReportedLeaked
        | FindingKind::EmergencyHeld
        | FindingKind::KeyVanished
        | FindingKind::DisabledByHand => Some(format!("rekeyd rotate {name} --emergency")),
        FindingKind::DestinationChanged => Some(format!("rekeyd rotate {name}")),
        FindingKind::PermissionsChanged | FindingKind::SharingGroupsChanged | FindingKind::ForeignKeys => {
            Some(format!("rekeyd accept {name}"))
        }
        FindingKind::PermissionsWidened => Some("systemctl reload rekeyd".to_owned()),
        // A matter of the ElevenLabs subscription.
        FindingKind::TrialEnded | FindingKind::SubscriptionDowngrade => None,
    }
}
