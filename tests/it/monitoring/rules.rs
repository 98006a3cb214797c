//! The alerts: they fire when they should, and each has its impact, a command to run and a runbook entry.

use std::collections::BTreeSet;
use std::path::Path;

use super::{labels, wrong};
use crate::support::promtool::{monitoring, promtool};

/// The first command of an alert.
const COMMANDS: [&str; 6] =
    ["rekeyd ", "rekeyd status", "systemctl ", "journalctl ", "findmnt ", "timedatectl"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(super) struct Alert {
    pub(super) name: String,
    /// Its text in the file, in one line.
    pub(super) text: String,
}

impl Alert {
    fn expression(&self) -> &str {
        let rest = self.text.split("expr: ").nth(1).unwrap();
        rest.split(" labels: ").next().unwrap().split(" for: ").next().unwrap()
    }

    pub(super) fn all() -> Vec<Self> {
        let text = monitoring("alerts.yaml");
        let alerts = text.split("- alert: ").skip(1);
        let alerts = alerts.map(|block| {
            let block = block.split("\n  - name: ").next().unwrap();
            let words: Vec<&str> = block.split_whitespace().collect();
            Self { name: words[0].to_owned(), text: words.join(" ") }
        });
        alerts.collect()
    }
}

#[test]
fn the_rules_are_well_formed_and_every_scenario_comes_out_as_it_says() {
    let directory = root().join("monitoring");
    let (ok, said) = promtool(&directory, &["check", "rules", "alerts.yaml"], "");
    assert!(ok, "{said}");
    for scenarios in ["alerts_test.yaml", "alerts_causes_test.yaml", "alerts_weeks_test.yaml"] {
        let (ok, said) = promtool(&directory, &["test", "rules", scenarios], "");
        assert!(ok, "{said}");
    }
}

#[test]
fn every_alert_is_raised_by_a_scenario() {
    let scenarios =
        ["alerts_test.yaml", "alerts_causes_test.yaml", "alerts_weeks_test.yaml"].map(monitoring).concat();
    let raised = |alert: &Alert| scenarios.contains(&format!("alertname=\"{}\"", alert.name));
    let missing: Vec<String> = Alert::all().into_iter().filter(|it| !raised(it)).map(|it| it.name).collect();
    assert_eq!(missing, [""; 0], "no scenario raises these");
}

#[test]
fn every_alert_has_a_severity_an_impact_a_command_and_a_runbook_entry() {
    let runbook = std::fs::read_to_string(root().join("docs/runbook.md")).unwrap();
    let mut missing = Vec::new();
    let alerts = Alert::all();
    assert!(alerts.len() > 30, "only {} alerts were found: the test no longer reads them", alerts.len());
    for Alert { name, text } in &alerts {
        let mut lacks = |what: &str| missing.push(format!("{name} {what}"));
        if !text.contains("severity: page") && !text.contains("severity: ticket") {
            lacks("has no severity");
        }
        let command = text.split("Run: ").nth(1).unwrap_or_default();
        if !COMMANDS.iter().any(|known| command.starts_with(known)) {
            lacks("has no command to run");
        }
        if !text.contains(" affected") && !text.contains("refused") && !text.contains("Unauthorized") {
            lacks("does not say who is affected");
        }
        if !text.ends_with(&format!("/docs/runbook.md#{}", name.to_lowercase())) {
            lacks("does not link to its own entry");
        }
        let entry = runbook.split(&format!("\n### {name}\n")).nth(1).unwrap_or_default();
        let entry = entry.split("\n#").next().unwrap();
        let first = command.split(" runbook_url:").next().unwrap().split(" {{").next().unwrap();
        let shows = |line: &str| line.starts_with("$ ") && first.split(' ').all(|word| line.contains(word));
        if !entry.lines().any(shows) {
            lacks(&format!("does not show `{first}` in the runbook"));
        }
        for part in ["- **Impact:**", "- **Action:**", "- **Verify:**"] {
            if !entry.contains(part) {
                lacks(&format!("has no {part} in the runbook"));
            }
        }
        if text.contains("credential, workspace)") && !text.contains("$labels.credential") {
            lacks("does not name the credential");
        }
    }
    let known: BTreeSet<&str> = alerts.iter().map(|alert| alert.name.as_str()).collect();
    let entries = runbook.lines().filter_map(|line| line.strip_prefix("### Rekeyd"));
    missing.extend(
        entries
            .map(|rest| format!("Rekeyd{rest}"))
            .filter(|name| !known.contains(name.as_str()))
            .map(|name| format!("the runbook has an entry for {name}, which is no alert")),
    );
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

#[test]
fn the_alerts_speak_of_metrics_and_labels_that_there_are() {
    let mut found = Vec::new();
    for alert in Alert::all() {
        found.extend(wrong(alert.expression()).into_iter().map(|what| format!("{}: {what}", alert.name)));
        let known = labels(alert.expression());
        for label in alert.text.split("$labels.").skip(1) {
            let label = label.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap();
            if !known.contains(label) {
                found.push(format!("{}: its metrics have no label `{label}`", alert.name));
            }
        }
    }
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}
