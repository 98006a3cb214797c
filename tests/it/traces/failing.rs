//! A collector that is ill, slow or gone, and an environment that cannot be followed: rotations feel neither.

use std::time::{Duration, Instant};

use rekeyd::demo::fixture::Pace;
use rekeyd::sandbox::route::Route;
use rustix::process::Signal;

use crate::support::rehearsal::Rehearsal;
use crate::traces::collector::{Collector, Mood, with_variables};
use crate::traces::whole::{is_whole, stays};

const FAILING: &str = "cannot send spans to the collector; rotations continue";

async fn metric(rehearsal: &Rehearsal, name: &str) -> f64 {
    let address = rehearsal.launcher.address.borrow().unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let told = http.get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap();
    let value = told.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("no {name} in\n{told}"))
}

/// Lets three keys be replaced while the collector is in this mood, and says how long the daemon takes to stop.
async fn rotates(seed: u64, mood: Mood) -> (Rehearsal, Collector, Duration) {
    let pace = Pace::new("2s", "1s", "200ms");
    let mut rehearsal = Rehearsal::set(seed, &pace).await;
    let collector = Collector::open().await;
    collector.is(mood);
    collector.listens_to(&mut rehearsal);
    let daemon = rehearsal.launcher.start().await.unwrap();
    rehearsal.until("keys are replaced", |it| it.calls(Route::DeleteKey) >= 3).await;
    if let Mood::Status(400) = mood {
        let begun = Instant::now();
        while metric(&rehearsal, "rekeyd_spans_dropped_total{reason=\"rejected\"}").await < 1.0 {
            assert!(begun.elapsed() < Duration::from_secs(20), "nothing is counted as refused");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(metric(&rehearsal, "rekeyd_spans_sent_total ").await < 1.0);
    }
    rehearsal.stage.write_policy(&pace.at_rest()).unwrap();
    daemon.signal(Signal::HUP).unwrap();
    rehearsal.rests().await;
    let begun = Instant::now();
    daemon.stop().await.unwrap();
    (rehearsal, collector, begun.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_collector_is_ill_or_mute_keys_are_replaced_and_the_daemon_stops_in_time() {
    let together =
        tokio::join!(rotates(33, Mood::Mute), rotates(34, Mood::Status(503)), rotates(35, Mood::Status(400)));
    let moods = [Mood::Mute, Mood::Status(503), Mood::Status(400)];
    for (mood, (rehearsal, collector, took)) in moods.into_iter().zip([together.0, together.1, together.2]) {
        // Three seconds for what is still to be sent, and what a busy machine takes.
        assert!(took < Duration::from_secs(8), "{mood:?}: {took:?}");
        assert!(collector.requests().is_empty());
        let said = rehearsal.said();
        // A time limit of ten seconds may not have passed yet.
        let told = said.lines().filter(|line| line.contains(FAILING)).count();
        assert!(told == 1 || mood == Mood::Mute && told == 0, "{mood:?}: {told}");
        let (verdict, _, stage) = rehearsal.verdict(0).await;
        assert!(verdict.holds(), "{mood:?}: {:#?}", verdict.broken);
        stage.sandbox.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_and_what_a_collector_refuses_of_it_is_counted_and_a_stop_sends_the_rest() {
    let (rehearsal, collector, _) = rotates(36, Mood::Picky).await;
    let (spans, requests) = (collector.spans().len(), collector.requests().len());
    assert!(spans > 10 && requests > 1, "{spans} in {requests}");
    assert!(rehearsal.said().contains("the collector rejected some spans"));
    // What was left last of all is there: nothing was cut off.
    for (rotation, (left, ended)) in &stays(&rehearsal) {
        is_whole(&collector.trace(rotation), left, ended.as_deref());
    }
    let (_, _, stage) = rehearsal.verdict(0).await;
    stage.sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_environment_that_cannot_be_followed_is_warned_of_with_advice_and_the_daemon_runs_without_traces()
{
    let mut rehearsal = Rehearsal::set(37, &Pace::new("3s", "1s", "200ms").at_rest()).await;
    for (variable, value, advice) in [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "planted:4318", "http://127.0.0.1:4318"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "planted", "name=value"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/planted.pem", "CA file"),
    ] {
        let variables = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318".to_owned()),
            (variable, value.to_owned()),
        ];
        rehearsal.launcher.program = with_variables(&rehearsal, &variables);
        let daemon = rehearsal.launcher.start().await.unwrap();
        rehearsal.rests().await;
        daemon.stop().await.unwrap();
        let said = rehearsal.said();
        let warnings: Vec<_> =
            said.lines().filter(|line| line.contains("the daemon runs without traces")).collect();
        assert_eq!(warnings.len(), 1, "{variable}: {said}");
        assert!(warnings[0].contains("WARN") && warnings[0].contains(advice), "{variable}: {said}");
        assert!(!said.contains("planted"), "{said}");
        std::fs::remove_file(rehearsal.stage.log()).unwrap();
    }
    let (verdict, _, stage) = rehearsal.verdict(0).await;
    assert!(verdict.holds(), "{:#?}", verdict.broken);
    stage.sandbox.shutdown().await;
}
