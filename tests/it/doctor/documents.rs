//! What is promised of the doctor's output.

use std::path::Path;

use rekeyd::domain::examination::{Check, Severity};
use rekeyd::sandbox::rules::Rules;

use super::harness::{Harness, command};

#[test]
fn every_check_and_severity_is_explained() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md")).unwrap();
    // The checks of stores are in `docs/stores.md`, which is generated.
    let checks = Check::GENERAL.map(Check::label).to_vec();
    let severities = Severity::ALL.map(Severity::label).to_vec();
    let missing = |label: &&&str| !text.contains(&format!("\n| `{label}` | "));
    let missing: Vec<String> =
        [checks, severities].concat().iter().filter(missing).map(|it| (*it).to_owned()).collect();
    assert!(missing.is_empty(), "docs/doctor.md has no row for {missing:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_is_for_people_with_the_worst_first_and_a_policy_with_errors_is_exit_code_3() {
    let harness = Harness::build(Rules::default()).await;
    harness.administer_with("sk_planted_and_unknown");
    let program = Path::new(env!("CARGO_BIN_EXE_rekeyd"));
    let output =
        command(program).args(["doctor", "--policy"]).arg(harness.write(&harness.policy())).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    let at = |word: &str| text.find(word).unwrap_or_else(|| panic!("no {word} in\n{text}"));
    assert!(text.starts_with("ERRORS"), "{text}");
    assert!(
        at("ERRORS") < at("fix: create a new admin key") && at("fix: create a new admin key") < at("\nOK"),
        "{text}"
    );
    assert!(
        text.ends_with("\n") && at("error: 1, warning: ") > at("\nOK") && !text.contains('\u{1b}'),
        "{text}"
    );

    let broken = harness.write("[workspaces.prod]\n");
    for form in ["text", "json"] {
        let output =
            command(program).args(["doctor", "--output", form, "--policy"]).arg(&broken).output().unwrap();
        assert_eq!(output.status.code(), Some(3));
    }
}
