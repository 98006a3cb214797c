//! Whether a command can do anything for the credential of a report. The daemon decides; this only chooses among many.

use serde_json::Value;

use crate::domain::finding::FindingKind;
use crate::domain::gate::GateName;
use crate::domain::phase::PhaseName;
use crate::domain::rotation::ParkReason;

fn text<'r>(report: &'r Value, field: &str) -> Option<&'r str> {
    report.pointer(field).and_then(Value::as_str)
}

fn is_set(report: &Value, field: &str) -> bool {
    report.pointer(field).is_some_and(|value| !value.is_null())
}

/// The phase; of a parked rotation the one that it goes on from.
fn phase(report: &Value) -> Option<&str> {
    text(report, "/rotation/parked_in").or_else(|| text(report, "/rotation/phase"))
}

pub(super) fn rotate(report: &Value) -> bool {
    text(report, "/mode") == Some("rotate") && !is_set(report, "/rotation")
}

pub(super) fn emergency(report: &Value) -> bool {
    let is_one = report.pointer("/rotation/emergency").and_then(Value::as_bool).unwrap_or_default();
    is_set(report, "/mode") && !is_one
}

pub(super) fn retry(report: &Value) -> bool {
    let aborts = report.get("aborts").and_then(Value::as_u64).unwrap_or_default();
    let waits_between = !is_set(report, "/rotation") && (is_set(report, "/obstacle") || aborts > 0);
    is_set(report, "/rotation/parked") || is_set(report, "/rotation/last_failure") || waits_between
}

pub(super) fn overwrite(report: &Value) -> bool {
    text(report, "/rotation/parked/reason") == Some(ParkReason::ForeignValue.label())
}

/// A rollback is given up only by name.
pub(super) fn abort(report: &Value) -> bool {
    let phases = [PhaseName::Due, PhaseName::Minting, PhaseName::Staging, PhaseName::Verifying];
    phase(report).is_some_and(|phase| phases.iter().any(|it| it.label() == phase))
}

pub(super) fn confirm(report: &Value) -> bool {
    let gates = report.pointer("/rotation/gates").and_then(Value::as_array);
    gates.into_iter().flatten().any(|gate| {
        let is_satisfied = gate.get("satisfied").and_then(Value::as_bool).unwrap_or_default();
        text(gate, "/gate") == Some(GateName::Confirm.label()) && !is_satisfied
    })
}

pub(super) fn accept(report: &Value) -> bool {
    let acceptable =
        [FindingKind::PermissionsChanged, FindingKind::SharingGroupsChanged, FindingKind::ForeignKeys];
    let findings = report.get("findings").and_then(Value::as_array);
    let mut kinds = findings.into_iter().flatten().filter_map(|finding| text(finding, "/kind"));
    !is_set(report, "/rotation") && kinds.any(|kind| acceptable.iter().any(|it| it.label() == kind))
}
