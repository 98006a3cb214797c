//! What a credential's findings are told as, and what is typed about them.

use crate::domain::finding::{Finding, FindingKind};
use crate::domain::report::advice::Advice;
use crate::domain::report::{CredentialHealth, CredentialReport};

/// Of a credential that is not being rotated.
pub(super) fn advise(report: &CredentialReport) -> Option<Advice> {
    let worst = report.findings.first()?;
    // That it waits says why nothing is done about the worst.
    let held = report.findings.iter().skip(1).find(|it| it.kind == FindingKind::EmergencyHeld);
    let told = held.map(|held| format!("; {}", one(held))).unwrap_or_default();
    let more = report.findings.len() - 1 - usize::from(held.is_some());
    let more = if more == 0 { told } else { format!("{told}; and {more} more, see its status") };
    Some(Advice {
        condition: CredentialHealth::Drifted,
        attention: true,
        summary: format!("{}{more}", one(worst)),
        command: command(report),
    })
}

/// Beside what there is to say of a rotation under way, which needs a person for a finding too.
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

/// For the worst that a command of rekeyd can mend. What begins by itself needs none.
fn command(report: &CredentialReport) -> Option<String> {
    report.findings.iter().find_map(|finding| command_for(report, finding))
}

/// What is typed about one finding of a report.
#[must_use]
pub fn command_for(report: &CredentialReport, finding: &Finding) -> Option<String> {
    let held = report.findings.iter().any(|it| it.kind == FindingKind::EmergencyHeld);
    let name = &report.credential;
    match finding.kind {
        FindingKind::ExposedPublicly | FindingKind::SelfDisabled | FindingKind::ReportedLeaked if !held => {
            None
        }
        FindingKind::ExposedPublicly
        | FindingKind::SelfDisabled
        | FindingKind::ReportedLeaked
        | FindingKind::EmergencyHeld
        | FindingKind::KeyVanished
        | FindingKind::DisabledByHand => Some(format!("rekeyd rotate {name} --emergency")),
        FindingKind::DestinationChanged => Some(format!("rekeyd rotate {name}")),
        FindingKind::PermissionsChanged | FindingKind::ForeignKeys => Some(format!("rekeyd accept {name}")),
        FindingKind::PermissionsWidened => Some("systemctl reload rekeyd".to_owned()),
        // What is wrong is the plan.
        FindingKind::TrialEnded | FindingKind::SubscriptionDowngrade => None,
    }
}
