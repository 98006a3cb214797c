//! The metrics' text, read as strictly as a scraper would.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::SeqCst;

use rekeyd::domain::hold::Scope;
use rekeyd::telemetry::metrics::{ALL, Kind};
use reqwest::Method;
use reqwest::header::ACCEPT;

use super::harness::{Harness, name};
use crate::support::blessed;
use crate::support::promtool;

const OPEN: &str =
    "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1";

/// Samples by their whole name with labels. Fails on anything that is not declared, said twice, or not a number.
fn lint(text: &str, counters_are_declared_with_total: bool) -> BTreeMap<String, f64> {
    let (mut helps, mut types) = (BTreeSet::new(), BTreeMap::new());
    let mut samples = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words.as_slice() {
            ["#", "HELP", name, help] => {
                assert!(help.ends_with('.') && !help.ends_with(".."), "{line}");
                assert!(helps.insert((*name).to_owned()), "helped twice: {line}");
            }
            ["#", "TYPE", name, kind] => {
                assert!(helps.contains(*name), "no help before: {line}");
                assert!(
                    types.insert((*name).to_owned(), (*kind).to_owned()).is_none(),
                    "typed twice: {line}"
                );
                assert!(matches!(*kind, "gauge" | "counter" | "histogram"), "{line}");
            }
            ["#", ..] => panic!("what is this: {line}"),
            _ => {
                let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
                let name = series.split('{').next().unwrap();
                let whole =
                    if counters_are_declared_with_total { name } else { name.trim_end_matches("_total") };
                let parts = ["_bucket", "_sum", "_count"].into_iter();
                let of_histogram = parts.filter_map(|part| name.strip_suffix(part));
                let is_histogram = |name: &&str| types.get(*name).is_some_and(|kind| kind == "histogram");
                let family = of_histogram.clone().find(is_histogram).unwrap_or(whole);
                let kind = types.get(family).unwrap_or_else(|| panic!("not declared: {line}"));
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                assert!(name.starts_with("rekeyd_"), "{line}");
                let labels = series.strip_prefix(name).unwrap();
                assert!(labels.is_empty() || labels.starts_with('{') && labels.ends_with("\"}"), "{line}");
                let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
                assert!(samples.insert(series.to_owned(), value).is_none(), "said twice: {line}");
            }
        }
    }
    assert_eq!(helps.len(), ALL.len());
    assert_eq!(types.len(), ALL.len());
    samples
}

#[tokio::test(flavor = "multi_thread")]
async fn both_forms_are_well_formed_and_say_the_same() {
    let harness = Harness::open().await;
    let plain = harness.get("/metrics").await;
    assert_eq!(plain.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let open = harness.send(harness.request(Method::GET, "/metrics").header(ACCEPT, OPEN)).await;
    assert_eq!(open.headers["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let body = open.text.strip_suffix("# EOF\n").unwrap_or_else(|| panic!("no end: {}", open.text));
    promtool::lint(&plain.text);
    let plain = lint(&plain.text, true);
    assert_eq!(lint(body, false).keys().collect::<Vec<_>>(), plain.keys().collect::<Vec<_>>());
    let now = harness.handle.context().clock.now().as_second() as f64;
    for (series, value) in [
        ("rekeyd_credentials{health=\"waiting\"}", 1.0),
        ("rekeyd_credentials{health=\"parked\"}", 1.0),
        ("rekeyd_credentials{health=\"fine\"}", 0.0),
        ("rekeyd_rotation_phase{credential=\"tts\",workspace=\"prod\",phase=\"overlap\"}", 1.0),
        ("rekeyd_rotation_parked{credential=\"wide\",workspace=\"prod\",reason=\"unrestricted\"}", 1.0),
        ("rekeyd_gate_satisfied{credential=\"tts\",workspace=\"prod\",gate=\"at_least\"}", 1.0),
        ("rekeyd_gate_satisfied{credential=\"tts\",workspace=\"prod\",gate=\"acks\"}", 0.0),
        ("rekeyd_attention_needed{credential=\"tts\",workspace=\"prod\"}", 0.0),
        ("rekeyd_attention_needed{credential=\"wide\",workspace=\"prod\"}", 1.0),
        ("rekeyd_workspace_reachable{workspace=\"prod\"}", 1.0),
        ("rekeyd_engine_damaged_credentials", 0.0),
        ("rekeyd_orphans_deleted_total", 0.0),
        ("rekeyd_policy_reload_success", 1.0),
        ("rekeyd_policy_info{hash=\"abc123\"}", 1.0),
        ("rekeyd_journal_readable", 1.0),
        ("rekeyd_journal_writable", 1.0),
        ("rekeyd_journal_write_failures_total", 0.0),
        ("rekeyd_rotations_in_phase{workspace=\"prod\",phase=\"overlap\"}", 1.0),
        ("rekeyd_rotations_in_phase{workspace=\"prod\",phase=\"quarantine\"}", 0.0),
        ("rekeyd_rotations_parked{reason=\"unrestricted\"}", 1.0),
        ("rekeyd_rotations_parked{reason=\"widened\"}", 0.0),
        ("rekeyd_credentials_needing_attention{workspace=\"prod\"}", 1.0),
        ("rekeyd_lagging_consumers{workspace=\"prod\"}", 2.0),
        ("rekeyd_gate_waiting_on{credential=\"tts\",workspace=\"prod\",gate=\"acks\",name=\"batch\"}", 1.0),
        ("rekeyd_mint_budget{workspace=\"prod\"}", 20.0),
        ("rekeyd_mint_budget_remaining{workspace=\"prod\"}", 14.0),
        ("rekeyd_provider_requests_total{workspace=\"prod\",route=\"create\",outcome=\"ok\"}", 1.0),
        ("rekeyd_provider_request_duration_seconds_count{workspace=\"prod\",route=\"create\"}", 1.0),
        ("rekeyd_provider_throttled_total{workspace=\"prod\"}", 0.0),
        ("rekeyd_store_requests_total{store=\"local\",operation=\"promote\",outcome=\"ok\"}", 1.0),
        ("rekeyd_rotations_ended_total{workspace=\"prod\",outcome=\"done\",reason=\"adoption\"}", 0.0),
        ("rekeyd_rotation_phase_duration_seconds_count{phase=\"staging\"}", 1.0),
        ("rekeyd_clock_skew_max_seconds", 86_400.0),
    ] {
        assert_eq!(plain.get(series), Some(&value), "{series} in {plain:#?}");
    }
    for series in [
        "rekeyd_engine_last_heartbeat_timestamp_seconds",
        "rekeyd_policy_reload_last_success_timestamp_seconds",
        "rekeyd_rotation_phase_entered_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}",
        "rekeyd_key_created_timestamp_seconds{credential=\"tts\",workspace=\"prod\"}",
        "rekeyd_workspace_last_success_timestamp_seconds{workspace=\"prod\"}",
        "rekeyd_oldest_key_created_timestamp_seconds{workspace=\"prod\"}",
        "rekeyd_oldest_phase_entered_timestamp_seconds{workspace=\"prod\",phase=\"parked\"}",
        "rekeyd_start_timestamp_seconds",
    ] {
        let value = plain.get(series).unwrap_or_else(|| panic!("{series} in {plain:#?}"));
        assert!((now - 300.0..=now + 1.0).contains(value), "{series} is {value}, now is {now}");
    }
    assert!(!plain.keys().any(|series| series.contains("secret-of")), "a secret's name is told");
    harness.nothing_leaked("").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_parked_raises_its_alert_and_nothing_else_does() {
    let harness = Harness::open().await;
    let now = harness.handle.context().clock.now();
    let scrape = harness.get("/metrics").await.text;
    let raised = promtool::firing(&scrape, &scrape, now.as_second() as f64);
    assert_eq!(raised.len(), 1, "{raised:?}");
    for label in ["alertname=\"RekeydRotationParked\"", "credential=\"wide\"", "severity=\"ticket\""] {
        assert!(raised[0].contains(label), "{raised:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_a_rotation_back_is_told_by_its_reason() {
    let harness = Harness::open().await;
    let scope = Scope::Credential(name("tts"));
    harness.handle.pause(scope.clone(), None, "an audit".to_owned(), "uid 7".to_owned()).await.unwrap();
    let held = lint(&harness.get("/metrics").await.text, true);
    let of_it = "rekeyd_rotation_blocked{credential=\"tts\",workspace=\"prod\",reason=\"operator\"}";
    assert_eq!(held.get(of_it), Some(&1.0), "{held:#?}");
    assert_eq!(held.get("rekeyd_rotations_blocked{reason=\"operator\"}"), Some(&1.0));
    harness.handle.resume(scope, None, "uid 7".to_owned()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let free = lint(&harness.get("/metrics").await.text, true);
    assert_eq!(free.get(of_it), None);
    assert_eq!(free.get("rekeyd_rotations_blocked{reason=\"operator\"}"), Some(&0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_scrapes_are_one_look() {
    let harness = Harness::open().await;
    let first = harness.get("/metrics").await.text;
    harness.status.send_modify(|status| status.policy_hash = "changed".to_owned());
    let second = harness.get("/metrics").await.text;
    assert_eq!(first, second, "within a second the answer is the same");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert!(harness.get("/metrics").await.text.contains("changed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_reads_the_acknowledgements_of_all_credentials_at_once() {
    let harness = Harness::open().await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let reads = || {
        let journal = &harness.journal;
        (journal.reads_of_acks.load(SeqCst), journal.reads_of_all_acks.load(SeqCst))
    };
    let (single, together) = reads();
    let scrape = harness.get("/metrics").await.text;
    assert!(scrape.contains("rekeyd_gate_satisfied"), "a credential waits for acknowledgements");
    assert_eq!(reads(), (single, together + 1));
}

#[test]
fn every_metric_is_documented() {
    let mut text = String::from(
        "# Metrics\n\nThe metrics that the daemon exposes at `GET /metrics` of the public listener. This file is generated; do not \
         edit it.\n\n```sh\ncurl http://127.0.0.1:9809/metrics\n```\n\nThe format is Prometheus text 0.0.4, or \
         OpenMetrics if the `Accept` header asks for it. Gauges are read from the journal and the engine at the time of \
         the scrape, at most once a second. Counters and histograms start at `rekeyd_start_timestamp_seconds`: a reload \
         keeps them, a restart resets them. Labels never contain a key, a hint or the name of a secret.\n\nWith \
         `per_credential = false` in `[metrics]`, metrics with the label `credential` are limited to credentials that an \
         alert could fire for, at most the 100 most severe. All other metrics are complete.\n\n\
         [monitoring.md](monitoring.md) describes scraping and alerts.\n\n| metric | type | labels | meaning \
         |\n|---|---|---|---|\n",
    );
    for metric in ALL {
        let suffix = if metric.kind == Kind::Counter { "_total" } else { "" };
        let kind = metric.kind.label();
        let labels: Vec<String> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let row =
            format!("| `{}{suffix}` | {kind} | {} | {} |\n", metric.name, labels.join(", "), metric.help);
        text.push_str(&row);
    }
    blessed::compare("docs/metrics.md", &text);
}
