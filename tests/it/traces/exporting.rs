//! What waits for a collector: tried again, given up, and counted. Time is imagined.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use rekeyd::adapters::clock::SystemClock;
use rekeyd::adapters::memory::journal::MemoryJournal;
use rekeyd::adapters::memory::store::MemoryStore;
use rekeyd::domain::ids::StoreName;
use rekeyd::domain::plan::Destination;
use rekeyd::domain::trace::Span;
use rekeyd::ports::collector::{Collector, ExportError};
use rekeyd::ports::secret_store::SecretStore as _;
use rekeyd::telemetry::meter::{Meter, Spans};
use rekeyd::telemetry::metered::MeteredStore;
use rekeyd::telemetry::traces::{DropReason, Exporter, Traces};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Answers as it was told to, then well; `None` is never.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Option<Result<usize, ExportError>>>>,
    asked: Mutex<Vec<(Duration, Vec<Span>)>>,
    begun: Option<Instant>,
}

#[async_trait]
impl Collector for Scripted {
    async fn take(&self, spans: &[Span]) -> Result<usize, ExportError> {
        let at = self.begun.unwrap().elapsed();
        self.asked.lock().unwrap().push((at, spans.to_vec()));
        let answer = self.answers.lock().unwrap().pop_front();
        match answer {
            Some(Some(answer)) => answer,
            Some(None) => std::future::pending().await,
            None => Ok(0),
        }
    }
}

fn untaken(is_final: bool, seconds: Option<i64>) -> Option<Result<usize, ExportError>> {
    let retry_after = seconds.map(SignedDuration::from_secs);
    Some(Err(ExportError { is_final, retry_after, why: "scripted".to_owned() }))
}

struct Harness {
    collector: Arc<Scripted>,
    meter: Arc<Meter>,
    store: MeteredStore,
    exporter: Exporter,
    stop: CancellationToken,
}

impl Harness {
    fn new(answers: Vec<Option<Result<usize, ExportError>>>) -> Self {
        let collector = Arc::new(Scripted {
            answers: Mutex::new(answers.into()),
            begun: Some(Instant::now()),
            ..Scripted::default()
        });
        let (traces, queue) = Traces::new(Arc::new(SystemClock));
        let meter = Arc::new(Meter::tracing(traces));
        let name = StoreName::new("local").unwrap();
        let store = MeteredStore::new(Arc::new(MemoryStore::default()), name, Arc::clone(&meter));
        let journal = Arc::new(MemoryJournal::new());
        let exporter =
            Exporter::new(queue, Arc::clone(&collector) as Arc<dyn Collector>, journal, Arc::clone(&meter));
        Self { collector, meter, store, exporter, stop: CancellationToken::new() }
    }

    async fn call(&self) {
        let destination = Destination {
            store: StoreName::new("local").unwrap(),
            secret: "tts".to_owned(),
            json_field: None,
            create: true,
            create_field: false,
        };
        self.store.preflight(&destination).await.unwrap();
    }

    /// Exports until `seconds` have passed, then stops; what it asked the collector, what it counted, and how long the stop took.
    async fn exports(self, seconds: u64) -> (Vec<(Duration, usize)>, Spans, Duration) {
        let stop = self.stop.clone();
        let stopped = async {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            stop.cancel();
            Instant::now()
        };
        let ((), stopped) = tokio::join!(self.exporter.run(self.stop), stopped);
        let asked =
            self.collector.asked.lock().unwrap().iter().map(|(at, spans)| (*at, spans.len())).collect();
        (asked, self.meter.read().spans.unwrap(), stopped.elapsed())
    }
}

fn seconds(asked: &[(Duration, usize)]) -> Vec<(u64, usize)> {
    asked.iter().map(|(at, count)| (at.as_secs(), *count)).collect()
}

#[tokio::test(start_paused = true)]
async fn what_happens_together_is_sent_together_and_again_when_the_collector_asks_for_that() {
    let harness = Harness::new(vec![untaken(false, Some(20)), untaken(false, None), Some(Ok(1))]);
    harness.call().await;
    harness.call().await;
    let (asked, counted, _) = harness.exports(120).await;
    let at = seconds(&asked);
    assert_eq!((at.len(), at[0], at[1]), (3, (1, 2), (21, 2)), "{asked:?}");
    assert!(at[2].0 >= 22 && at[2].0 <= 23, "{asked:?}");
    assert_eq!((counted.sent, counted.dropped[&DropReason::Rejected]), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_final_and_what_is_not_taken_for_five_minutes_is_given_up() {
    let harness = Harness::new(vec![untaken(true, None)]);
    harness.call().await;
    let (asked, counted, _) = harness.exports(120).await;
    assert_eq!((asked.len(), counted.sent, counted.dropped[&DropReason::Rejected]), (1, 0, 1));

    let harness = Harness::new(vec![untaken(false, None); 1000]);
    harness.call().await;
    let (asked, counted, _) = harness.exports(1000).await;
    assert!(asked.len() > 10 && asked.last().unwrap().0 < Duration::from_secs(302), "{asked:?}");
    assert_eq!((counted.sent, counted.dropped[&DropReason::Undelivered]), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_drops_and_counts_and_a_stop_waits_three_seconds_for_a_mute_collector() {
    let harness = Harness::new(vec![None]);
    for _ in 0..2100 {
        harness.call().await;
    }
    assert_eq!(harness.meter.read().spans.unwrap().dropped[&DropReason::QueueFull], 52);
    let (asked, counted, took) = harness.exports(60).await;
    assert_eq!(asked.len(), 1);
    assert_eq!((counted.sent, counted.dropped[&DropReason::Undelivered]), (0, 2048));
    assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_sends_what_is_left_at_once() {
    let harness = Harness::new(vec![]);
    for _ in 0..1000 {
        harness.call().await;
    }
    harness.stop.cancel();
    let (asked, counted, _) = harness.exports(0).await;
    assert_eq!((seconds(&asked), counted.sent), (vec![(0, 512), (0, 488)], 1000));
}
