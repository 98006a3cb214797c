//! The real program's own scrape.

use std::time::{Duration, Instant};

use rekeyd::adapters::clock::SystemClock;
use rekeyd::demo::fixture::Pace;
use rekeyd::ports::clock::Clock;

use crate::support::promtool;
use crate::support::rehearsal::Rehearsal;

async fn scrape(rehearsal: &Rehearsal) -> String {
    let address = rehearsal.launcher.address.borrow().unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap()
}

/// The sum of the samples whose series begin so.
fn sum(scrape: &str, beginning: &str) -> f64 {
    let lines = scrape.lines().filter(|line| line.starts_with(beginning));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_that_has_rotated_everything_has_counted_it_and_raises_no_alert() {
    let rehearsal = Rehearsal::set(21, &Pace::new("3s", "2s", "200ms").at_rest()).await;
    rehearsal.without_strangers();
    let daemon = rehearsal.launcher.start().await.unwrap();
    rehearsal.rests().await;
    // The scheduler ticks every five seconds.
    let begun = Instant::now();
    let text = loop {
        let text = scrape(&rehearsal).await;
        if sum(&text, "rekeyd_scheduler_last_tick_timestamp_seconds ") > 0.0 {
            break text;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "the scheduler does not tick");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    promtool::lint(&text);
    assert!(sum(&text, "rekeyd_rotations_ended_total{") >= 3.0, "{text}");
    for series in [
        "rekeyd_provider_request_duration_seconds_count{",
        "rekeyd_store_request_duration_seconds_count{",
        "rekeyd_journal_write_duration_seconds_count ",
        "rekeyd_rotation_phase_duration_seconds_count{phase=\"overlap\"}",
        "rekeyd_journal_size_bytes ",
        "rekeyd_start_timestamp_seconds ",
        "rekeyd_mint_budget{",
    ] {
        assert!(sum(&text, series) > 0.0, "{series} in {text}");
    }
    // Without this bucket Prometheus has no quantiles.
    let in_all = sum(&text, "rekeyd_journal_write_duration_seconds_bucket{le=\"+Inf\"}");
    assert_eq!(in_all, sum(&text, "rekeyd_journal_write_duration_seconds_count "), "{text}");
    let now = SystemClock.now().as_second();
    assert_eq!(promtool::firing(&text, &text, now as f64), [""; 0], "{text}");
    daemon.stop().await.unwrap();
}
