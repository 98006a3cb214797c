//! How long each alert takes at most, measured by Prometheus' own tool: what hurts now pages within a minute of being
//! known, and what will hurt a working day before.

use std::collections::BTreeMap;

use super::onsets::{ONSETS, Onset};
use super::rules::Alert;
use crate::support::blessed;
use crate::support::promtool::{monitoring, promtool};

/// A sample is scraped, and a rule is evaluated, at most so many seconds after it could be.
const SCRAPED_EVERY: i64 = 15;
const EVALUATED_EVERY: i64 = 15;

const HOUR: i64 = 3600;

const HEADER: &str = "# Delays of the alerts

How long after a condition is known to rekeyd its alert fires at the latest, with scrapes every 15 seconds; a longer interval adds its
difference. \"Before\" is how long before a key or a certificate expires. For example, `RekeydConsumerFailing` fires within 30 s. A test
measures each with `promtool` and generates this file.

| alert | severity | fires within |
|---|---|---|
";

/// When the alert of each onset fires, in seconds from the onset: negative if before it. Each is measured by itself.
fn measured() -> BTreeMap<String, i64> {
    let directory = tempfile::tempdir().unwrap();
    let rules = monitoring("alerts.yaml");
    let mut files = Vec::new();
    for onset in ONSETS {
        let name = onset.alert;
        let rule = rules.split("      - alert: ").find(|rule| rule.starts_with(&format!("{name}\n")));
        assert!(rule.is_some(), "no alert {name}");
        let rule = rule.unwrap().split("\n  - name: ").next().unwrap();
        let rules = format!("groups:\n  - name: one\n    rules:\n      - alert: {rule}\n");
        std::fs::write(directory.path().join(format!("{name}.rules.yaml")), rules).unwrap();
        let step = onset.scale.step();
        let test = format!("rule_files: [{name}.rules.yaml]\nevaluation_interval: {step}s\ntests:\n");
        files.push(format!("{name}.yaml"));
        std::fs::write(directory.path().join(format!("{name}.yaml")), test + &scenario(onset)).unwrap();
    }
    let arguments: Vec<&str> =
        ["test", "rules"].into_iter().chain(files.iter().map(String::as_str)).collect();
    let (_, said) = promtool(directory.path(), &arguments, "");
    let mut fired = BTreeMap::new();
    for onset in ONSETS {
        let name = onset.alert;
        let part = said.split(&format!("alertname=\\\"{name}\\\"")).nth(1);
        let got = part.and_then(|part| part.split("got:").nth(1)).and_then(|got| got.strip_prefix(" {} "));
        assert!(got.is_some(), "{name} never fires:\n{said}");
        let at: f64 = got.unwrap().split_whitespace().next().unwrap().parse().unwrap();
        let at: i64 = format!("{at:.0}").parse().unwrap();
        fired.insert(name.to_owned(), at - onset.scale.onset());
    }
    fired
}

fn scenario(onset: &Onset) -> String {
    let scale = onset.scale;
    let (step, end) = (scale.step(), scale.end());
    let mut text = format!("  - interval: {step}s\n    input_series:\n");
    let up = [("up", "1", "1")];
    let series = if onset.series.iter().any(|(name, ..)| *name == "up") { &[][..] } else { &up[..] };
    for (name, before, after) in series.iter().chain(onset.series) {
        let values = format!("{} {}", scale.before(before), scale.after(after));
        let name = match name.split_once('{') {
            Some((name, labels)) => format!("{name}{{job=\"rekeyd\",instance=\"a\",{labels}"),
            None => format!("{name}{{job=\"rekeyd\",instance=\"a\"}}"),
        };
        text.push_str(&format!("      - {{ series: '{name}', values: '{values}' }}\n"));
    }
    let alerts = format!("ALERTS{{alertname=\"{}\",alertstate=\"firing\"}}", onset.alert);
    text.push_str(&format!(
        "    promql_expr_test:\n      - expr: 'min(min_over_time(timestamp({alerts})[{end}s:{step}s]))'\n        eval_time: {end}s\n        exp_samples: [{{ labels: '{{nothing=\"is so\"}}', value: 1 }}]\n"
    ));
    text
}

fn told(seconds: i64) -> String {
    let before = if seconds < 0 { " before" } else { "" };
    let seconds = seconds.abs();
    match seconds {
        0..=120 => format!("{seconds} s{before}"),
        121..=7_200 => format!("{} min{before}", (seconds + 59) / 60),
        7_201..=172_800 => format!("{} h{before}", seconds / HOUR),
        _ => format!("{} d{before}", (seconds + 12 * HOUR) / (24 * HOUR)),
    }
}

#[test]
fn what_hurts_now_pages_within_a_minute_and_what_will_hurt_a_working_day_before() {
    let mut fired = measured();
    let alerts = Alert::all();
    let mut wrong = Vec::new();
    let mut table = HEADER.to_owned();
    for Alert { name, text } in &alerts {
        let Some(measured) = fired.remove(name) else {
            wrong.push(format!("{name} has no onset"));
            continue;
        };
        let worst = measured + SCRAPED_EVERY + EVALUATED_EVERY;
        let pages = text.contains("severity: page");
        let hurts = !text.contains("description: >- No consumer is affected");
        if pages && hurts && worst > 60 {
            wrong.push(format!("{name} hurts now, and pages after {worst} s"));
        }
        let will_hurt = name.contains("Expires");
        if pages && will_hurt && worst > -23 * HOUR && !name.ends_with("Unrotated") {
            wrong.push(format!("{name} will hurt, and pages {worst} s from then"));
        }
        let severity = if pages { "page" } else { "ticket" };
        table.push_str(&format!(
            "| [`{name}`](runbook.md#{}) | {severity} | {} |\n",
            name.to_lowercase(),
            told(worst)
        ));
    }
    wrong.extend(fired.keys().map(|name| format!("{name} has an onset, and is no alert")));
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    blessed::compare("docs/alert-delays.md", &table);
}
