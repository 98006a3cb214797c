//! The impact of the state of a credential, and its runbook entries.

use jiff::Timestamp;

use crate::domain::phase::IN_SERVICE;
use crate::domain::phase::PhaseName;
use crate::domain::report::expiry::KeyInUse;
use crate::domain::report::failing::FailingConsumer;
use crate::domain::report::{CredentialHealth, CredentialReport};
use crate::http::page::runbook::{self, Entry};

/// The runbook entries for the state of a credential, most important first.
pub(super) fn entries(report: &CredentialReport, now: Timestamp) -> Vec<Entry> {
    headings(report, now).into_iter().filter_map(runbook::entry).collect()
}

fn headings(report: &CredentialReport, now: Timestamp) -> Vec<&'static str> {
    let mut headings = Vec::new();
    let mut put = |heading: &'static str| {
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    };
    let rotation = report.rotation.as_ref();
    if report.damage.is_some() {
        put("Damaged");
    }
    if !report.failing_consumers.is_empty() {
        put("RekeydConsumerFailing");
    }
    if let Some(parked) = rotation.and_then(|rotation| rotation.parked.as_ref()) {
        put(parked.reason.label());
    }
    if let Some(obstacle) = &report.obstacle {
        put(obstacle.kind.label());
    }
    for finding in &report.findings {
        put(finding.kind.label());
    }
    if has_expired(report, now) {
        put("Key expired");
    }
    if let Some(expiry) = report.expires_soon(now) {
        put(match expiry.key {
            KeyInUse::OnRecord => "RekeydKeyExpiresSoon",
            KeyInUse::New => "RekeydNewKeyExpiresSoon",
        });
    }
    let switches = matches!(report.phase(), Some(PhaseName::Overlap | PhaseName::Returning));
    if report.attention && switches && report.findings.is_empty() && report.failing_consumers.is_empty() {
        put("Overlap past its deadline");
    }
    if !report.stale_consumers.is_empty() {
        put("RekeydConsumerSilent");
    }
    if report.partially_published {
        put("Partially published");
    }
    for hold in &report.held {
        put(if hold.is_breakers() { "Held by the breaker" } else { "Held by an operator" });
    }
    if report.waits_for.is_some() {
        put("Due and waiting");
    }
    headings
}

fn has_expired(report: &CredentialReport, now: Timestamp) -> bool {
    report.expired(now).is_some()
}

/// Who is affected, from the runbook entry or from the phase of the rotation.
pub(super) fn impact(report: &CredentialReport, now: Timestamp) -> String {
    if has_expired(report, now) {
        return "The provider refuses the key; consumers that use it fail.".to_owned();
    }
    if !report.failing_consumers.is_empty() {
        let each: Vec<String> = report.failing_consumers.iter().map(FailingConsumer::summary).collect();
        return format!("{}.", each.join(", "));
    }
    if report.health == CredentialHealth::Damaged {
        return "None until the key expires. The key works, but rekeyd does not manage it.".to_owned();
    }
    let impact = entries(report, now).into_iter().find_map(|entry| entry.impact);
    impact.unwrap_or_else(|| by_phase(report).to_owned())
}

/// The action of the runbook entry.
pub(super) fn action(report: &CredentialReport, now: Timestamp) -> Option<String> {
    entries(report, now).into_iter().find_map(|entry| entry.action)
}

/// Whether consumers are affected or a key has leaked: such credentials come first.
pub(super) fn is_urgent(report: &CredentialReport, now: Timestamp) -> bool {
    has_expired(report, now)
        || !report.failing_consumers.is_empty()
        || report.findings.iter().any(|finding| finding.kind.is_leak() || finding.kind.is_out_of_service())
}

fn by_phase(report: &CredentialReport) -> &'static str {
    match report.phase() {
        None if report.key_id.is_none() => "None. The credential has no key yet.",
        None => IN_SERVICE,
        Some(phase) => phase.row().impact,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the headings that are not labels; the tidy test checks the labels.
    #[test]
    fn every_heading_is_in_the_runbook() {
        for heading in [
            "Damaged",
            "Key expired",
            "RekeydKeyExpiresSoon",
            "RekeydNewKeyExpiresSoon",
            "Overlap past its deadline",
            "RekeydConsumerFailing",
            "RekeydConsumerSilent",
            "Partially published",
            "Held by the breaker",
            "Held by an operator",
            "Due and waiting",
        ] {
            let entry = runbook::entry(heading);
            assert!(entry.is_some_and(|entry| !entry.meaning.is_empty()), "{heading}");
        }
    }
}
