//! The samples of the fleet, whose number does not depend on the number of credentials.

use jiff::Timestamp;

use crate::domain::finding::FindingKind;
use crate::domain::hold::BREAKER;
use crate::domain::ids::WorkspaceName;
use crate::domain::phase::PhaseName;
use crate::domain::report::blocked::Blocked;
use crate::domain::report::{CredentialHealth, CredentialReport, RotationReport, StatusReport};
use crate::domain::rotation::ParkReason;
use crate::telemetry::catalogue;
use crate::telemetry::samples::{Samples, count, credential};

pub(super) fn add(samples: &mut Samples, report: &StatusReport, workspaces: &[&WorkspaceName]) {
    let all = &report.credentials;
    let counted =
        |is_such: &dyn Fn(&CredentialReport) -> bool| count(all.iter().filter(|it| is_such(it)).count());
    for condition in CredentialHealth::ALL {
        samples.put(catalogue::CREDENTIALS, &[condition.label()], counted(&|it| it.health == condition));
    }
    for reason in ParkReason::ALL {
        let is_parked = |it: &CredentialReport| parked(it) == Some(reason);
        samples.put(catalogue::ALL_PARKED, &[reason.label()], counted(&is_parked));
    }
    for reason in Blocked::ALL {
        samples.put(catalogue::ALL_BLOCKED, &[reason.label()], counted(&|it| it.blocked == Some(reason)));
    }
    for kind in FindingKind::ALL {
        let has_such = |it: &CredentialReport| it.findings.iter().any(|finding| finding.kind == kind);
        samples.put(catalogue::ALL_FINDINGS, &[kind.label()], counted(&has_such));
    }
    for hold in &report.holds {
        let by = if hold.by == BREAKER { BREAKER } else { "operator" };
        samples.put(catalogue::HOLD, &[&hold.place(), hold.what.label(), by], 1.0);
    }
    for name in workspaces {
        let own = all.iter().filter(|it| it.workspace.as_ref() == Some(name));
        workspace(samples, name.as_str(), &own.collect::<Vec<_>>());
    }
}

fn parked(report: &CredentialReport) -> Option<ParkReason> {
    report.rotation.as_ref()?.parked.as_ref().map(|parked| parked.reason)
}

fn first_expiry(report: &CredentialReport) -> Option<Timestamp> {
    let new = report.rotation.as_ref().and_then(|rotation| rotation.new_key_expires_at);
    [report.key_expires_at, new].into_iter().flatten().min()
}

fn workspace(samples: &mut Samples, name: &str, own: &[&CredentialReport]) {
    let first =
        |at: &dyn Fn(&CredentialReport) -> Option<Timestamp>| own.iter().filter_map(|it| at(it)).min();
    let attention = own.iter().filter(|it| it.attention).count();
    samples.put(catalogue::NEED_ATTENTION, &[name], count(attention));
    samples.instant(catalogue::OLDEST_KEY, &[name], first(&|it| it.key_since));
    samples.instant(catalogue::NEXT_EXPIRY, &[name], first(&first_expiry));
    samples.instant(catalogue::NEXT_DUE, &[name], first(&|it| it.next_due));
    let rotations: Vec<&RotationReport> = own.iter().filter_map(|it| it.rotation.as_ref()).collect();
    let lagging = rotations.iter().map(|rotation| credential::waiting_on(rotation).len()).sum();
    samples.put(catalogue::LAGGING_CONSUMERS, &[name], count(lagging));
    for phase in PhaseName::ALL.into_iter().filter(|phase| !phase.is_end()) {
        let there = || rotations.iter().filter(|rotation| rotation.phase == phase);
        let labels = [name, phase.label()];
        samples.put(catalogue::IN_PHASE, &labels, count(there().count()));
        samples.instant(catalogue::OLDEST_PHASE_ENTERED, &labels, there().map(|it| it.phase_since).min());
    }
}
