//! Whoever comes to an entry of the runbook finds what to type, or that there is nothing to type.

use std::fs;
use std::path::Path;

const SECTIONS: [&str; 4] = ["Parked rotations", "Obstacles", "Findings", "Held, late, expired"];

#[test]
fn every_state_of_the_runbook_says_what_to_type() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbook.md");
    let runbook = fs::read_to_string(path).unwrap();
    let (mut seen, mut silent) = (0, Vec::new());
    for section in SECTIONS {
        let text = runbook.split(&format!("\n## {section}\n")).nth(1).unwrap();
        let text = text.split("\n## ").next().unwrap();
        for entry in text.split("\n### ").skip(1) {
            seen += 1;
            let says = entry.contains("\n```console\n$ ") || entry.contains("\nNothing to type");
            silent.extend((!says).then(|| entry.lines().next().unwrap()));
        }
    }
    assert!(silent.is_empty(), "{silent:?}");
    assert!(seen > 35, "only {seen} entries were found: the test no longer reads them");
}
