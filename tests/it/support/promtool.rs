//! Prometheus' own tool, as the tests drive it: is a scrape well formed, do rules hold, and which alerts does a scrape
//! raise.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// For how many minutes a picture lasts before it is asked which alerts it raises: longer than `for` of any alert but
/// those that wait for days.
const HELD_MINUTES: usize = 150;
/// So many of them before the end, counters went from what they were to what they are.
const COUNTED_MINUTES: usize = 15;

pub(crate) fn monitoring(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring").join(name)).unwrap()
}

/// Whether it succeeded, and what it said.
pub(crate) fn promtool(directory: &Path, arguments: &[&str], input: &str) -> (bool, String) {
    let spawned = Command::new("promtool")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut tool = spawned.expect("promtool is not on the PATH: run `make test`, which brings it");
    tool.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = tool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Fails on anything that Prometheus' linter does not like in a scrape.
#[track_caller]
pub(crate) fn lint(scrape: &str) {
    let (is_clean, said) = promtool(Path::new("."), &["check", "metrics"], scrape);
    assert!(is_clean && said.trim().is_empty(), "{said}");
}

/// The alerts that the rules raise if what was scraped at `at` (seconds since 1970) stays as it is: each as the labels
/// that say which, in order. `before` is an earlier scrape, from which counters have moved a while ago.
pub(crate) fn firing(before: &str, scrape: &str, at: f64) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("alerts.yaml"), monitoring("alerts.yaml")).unwrap();
    let mut test = String::from(
        "rule_files: [alerts.yaml]\nevaluation_interval: 1m\ntests:\n  - interval: 1m\n    input_series:\n",
    );
    let before = samples(before);
    let mut series = samples(scrape);
    series.insert("up".to_owned(), 1.0);
    for (name, value) in &series {
        let values = if name.starts_with("rekeyd_start_timestamp_seconds") {
            format!("{}x{HELD_MINUTES}", value - at)
        } else if name.split('{').next().unwrap().ends_with("_timestamp_seconds") {
            // The time begins at 0 there, and goes on: what is so long ago stays so long ago.
            format!("{}+60x{HELD_MINUTES}", value - at)
        } else if name.split('{').next().unwrap().ends_with("_total") {
            let was = before.get(name).copied().unwrap_or(0.0);
            format!("{was}x{} {value}x{COUNTED_MINUTES}", HELD_MINUTES - COUNTED_MINUTES)
        } else {
            format!("{value}x{HELD_MINUTES}")
        };
        test.push_str(&format!("      - {{ series: '{}', values: '{values}' }}\n", located(name)));
    }
    let which = "count by (alertname, severity, credential, workspace, store, scope, who, kind, reason)";
    test.push_str(&format!(
        "    promql_expr_test:\n      - expr: '{which} (ALERTS{{alertstate=\"firing\"}})'\n        eval_time: {HELD_MINUTES}m\n        exp_samples: [{{ labels: '{{nothing=\"is so\"}}', value: 1 }}]\n"
    ));
    fs::write(directory.path().join("test.yaml"), &test).unwrap();
    let (_, said) = promtool(directory.path(), &["test", "rules", "test.yaml"], "");
    let Some((_, got)) = said.split_once("got:") else { panic!("promtool said:\n{said}\nof\n{test}") };
    let mut firing: Vec<String> = Vec::new();
    for found in got.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
        firing.push(found.to_owned());
    }
    firing.sort();
    firing
}

/// A series with where it was scraped.
fn located(name: &str) -> String {
    let place = "job=\"rekeyd\",instance=\"here\"";
    match name.split_once('{') {
        Some((name, labels)) => format!("{name}{{{place},{labels}"),
        None => format!("{name}{{{place}}}"),
    }
}

fn samples(scrape: &str) -> BTreeMap<String, f64> {
    let lines = scrape.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        Some((series.to_owned(), value.parse().ok()?))
    };
    lines.filter_map(sample).collect()
}
