//! What a person has to know of a credential first: is anyone hurt, and what the runbook says of its state.

use jiff::Timestamp;

use crate::domain::phase::PhaseName;
use crate::domain::report::{CredentialHealth, CredentialReport};
use crate::http::page::runbook::{self, Entry};

/// The runbook's entries for the state that a credential is in, the most telling first.
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
        put("Its key has expired");
    }
    if report.attention && report.phase() == Some(PhaseName::Overlap) && report.findings.is_empty() {
        put("Held beyond its deadline");
    }
    if !report.stale_consumers.is_empty() {
        put("RekeydConsumerSilent");
    }
    if report.partially_published {
        put("A destination is `absent` or `staged` while others are `current`");
    }
    for hold in &report.held {
        put(if hold.is_breakers() { "Held by the breaker" } else { "Held by an operator" });
    }
    if report.waits_for.is_some() {
        put("It is due and waits for its turn");
    }
    headings
}

fn has_expired(report: &CredentialReport, now: Timestamp) -> bool {
    report.rotation.is_none() && report.key_expires_at.is_some_and(|expiry| expiry <= now)
}

/// Whether anyone is hurt: in the runbook's words, or by where its rotation stands.
pub(super) fn hurt(report: &CredentialReport, now: Timestamp) -> String {
    if has_expired(report, now) {
        return "Yes. The provider refuses the key, and whoever uses it fails.".to_owned();
    }
    if report.health == CredentialHealth::Damaged {
        return "Nobody by this. Its key goes on working, but nothing is done to it.".to_owned();
    }
    let told = entries(report, now).into_iter().find_map(|entry| entry.hurt);
    told.unwrap_or_else(|| by_phase(report).to_owned())
}

/// What the runbook says to do.
pub(super) fn to_do(report: &CredentialReport, now: Timestamp) -> Option<String> {
    entries(report, now).into_iter().find_map(|entry| entry.to_do)
}

/// Whether somebody is hurt, or strangers may use a key: that comes before everything that can wait.
pub(super) fn is_urgent(report: &CredentialReport, now: Timestamp) -> bool {
    has_expired(report, now)
        || report.findings.iter().any(|finding| finding.kind.is_leak() || finding.kind.is_out_of_service())
}

fn by_phase(report: &CredentialReport) -> &'static str {
    match report.phase() {
        None if report.key_id.is_none() => "Nobody by a rotation. It has no key yet.",
        None | Some(PhaseName::Done | PhaseName::Aborted | PhaseName::RolledBack | PhaseName::Parked) => {
            "Nobody that rekeyd knows of. Its key is in service."
        }
        Some(
            PhaseName::Due
            | PhaseName::Minting
            | PhaseName::Staging
            | PhaseName::Verifying
            | PhaseName::Discarding,
        ) => "Nobody. The old key works and is untouched.",
        Some(PhaseName::Promoting | PhaseName::Overlap | PhaseName::Returning) => "Nobody. Both keys work.",
        Some(PhaseName::RollingBack) => {
            "Nobody that rekeyd knows of. The new key works until the old one is back everywhere."
        }
        Some(PhaseName::Disabling | PhaseName::Quarantine | PhaseName::Reinstating) => {
            "Nobody that rekeyd knows of. The new key works; the old one is disabled and can be enabled again."
        }
        Some(PhaseName::Revoking | PhaseName::Withdrawing) => {
            "Nobody that rekeyd knows of. The key that stays works; the other one is being deleted."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words by which entries are found that have no label; labels are held to the runbook by the tidy test.
    #[test]
    fn every_heading_in_words_is_in_the_runbook() {
        for heading in [
            "Damaged",
            "Its key has expired",
            "Held beyond its deadline",
            "RekeydConsumerSilent",
            "A destination is `absent` or `staged` while others are `current`",
            "Held by the breaker",
            "Held by an operator",
            "It is due and waits for its turn",
        ] {
            let entry = runbook::entry(heading);
            assert!(entry.is_some_and(|entry| !entry.meaning.is_empty()), "{heading}");
        }
    }
}
