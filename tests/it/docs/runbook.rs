//! Every state that may need an operator has an entry in the runbook.

use std::fs;
use std::path::Path;

use rekeyd::domain::failure::Kind;
use rekeyd::domain::finding::FindingKind;
use rekeyd::domain::plan::Reason;
use rekeyd::domain::record::ObstacleKind;
use rekeyd::domain::rotation::ParkReason;

#[test]
fn every_state_that_needs_an_operator_has_a_runbook_entry() {
    let runbook = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md")).unwrap();
    let headings = [
        Reason::ALL.map(Reason::label).to_vec(),
        ParkReason::ALL.map(ParkReason::label).to_vec(),
        ObstacleKind::ALL.map(ObstacleKind::label).to_vec(),
        FindingKind::ALL.map(FindingKind::label).to_vec(),
    ];
    let entry = |label: &&str| !runbook.contains(&format!("\n### `{label}`\n"));
    let mut missing: Vec<String> =
        headings.concat().iter().filter(|it| entry(it)).map(|it| format!("no heading for `{it}`")).collect();
    for kind in Kind::ALL {
        let passes = if kind.is_passing() { "yes" } else { "no" };
        if !runbook.contains(&format!("\n| `{}` | {passes} | ", kind.label())) {
            missing.push(format!("no row for `{}`, which passes: {passes}", kind.label()));
        }
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

#[test]
fn a_runbook_entry_has_its_impact_action_and_verification() {
    let runbook = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md")).unwrap();
    let labels = ParkReason::ALL
        .map(ParkReason::label)
        .into_iter()
        .chain(ObstacleKind::ALL.map(ObstacleKind::label))
        .chain(FindingKind::ALL.map(FindingKind::label));
    for label in labels {
        let entry = runbook.split(&format!("\n### `{label}`\n")).nth(1).unwrap();
        let entry = entry.split("\n#").next().unwrap();
        for part in ["- **Impact:**", "- **Action:**", "- **Verify:**"] {
            assert!(entry.contains(part), "the entry for `{label}` has no {part}");
        }
    }
}
