//! Sends queued spans to the collector in batches, with retries. Rotations never wait for it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::backoff::Backoff;
use crate::domain::trace::{self, FinishedSpan, Span, Step};
use crate::ports::collector::{Collector, ExportError};
use crate::ports::journal::{Entry, Journal};
use crate::telemetry::meter::Meter;
use crate::telemetry::traces::{DropReason, Item, Queue, RETRY_FOR, resend};

/// Spans within this time form a batch.
const BATCH_WINDOW: Duration = Duration::from_secs(1);
/// The largest number of spans in a request; a collector accepts a few megabytes.
const SPANS_MAX: usize = 512;
/// How long a stopping daemon waits for unsent spans.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);
const RETRY: Backoff = Backoff { first: SignedDuration::from_secs(1), cap: SignedDuration::from_secs(30) };

pub struct Exporter {
    inbox: mpsc::Receiver<Item>,
    items: VecDeque<Item>,
    spans: Vec<Span>,
    collector: Arc<dyn Collector>,
    journal: Arc<dyn Journal>,
    meter: Arc<Meter>,
    failing: bool,
}

impl Exporter {
    #[must_use]
    pub fn new(
        queue: Queue,
        collector: Arc<dyn Collector>,
        journal: Arc<dyn Journal>,
        meter: Arc<Meter>,
    ) -> Self {
        let Queue(inbox) = queue;
        let (items, spans) = (VecDeque::new(), Vec::new());
        Self { inbox, items, spans, collector, journal, meter, failing: false }
    }

    /// Queues spans that the previous process may not have sent. Call it before this process writes to the journal.
    pub async fn take_up(&mut self) {
        match resend::items(self.journal.as_ref()).await {
            Ok(items) => self.items.extend(items),
            Err(error) => {
                tracing::warn!(%error, "cannot read the unsent spans of the previous process");
                self.meter.dropped(DropReason::JournalUnreadable, 1);
            }
        }
    }

    /// Sends until `stop`, then sends the rest for a few seconds.
    pub async fn run(mut self, stop: CancellationToken) {
        let deadline = async {
            stop.cancelled().await;
            tokio::time::sleep(SHUTDOWN_GRACE).await;
        };
        tokio::select! {
            () = self.work(&stop) => {}
            () = deadline => {}
        }
        let left = self.spans.len() + self.items.len() + self.inbox.len();
        if left > 0 {
            self.meter.dropped(DropReason::Undelivered, left);
        }
    }

    async fn work(&mut self, stop: &CancellationToken) {
        loop {
            self.gather(stop).await;
            if !self.spans.is_empty() {
                self.send(stop).await;
            } else if stop.is_cancelled() && self.items.is_empty() && self.inbox.is_empty() {
                return;
            }
        }
    }

    /// Waits for an item, then for the rest of its batch.
    async fn gather(&mut self, stop: &CancellationToken) {
        if self.items.is_empty() && !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                item = self.inbox.recv() => match item {
                    Some(item) => self.items.push_back(item),
                    // Every sender is gone.
                    None => stop.cancelled().await,
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(BATCH_WINDOW) => {}
            }
        }
        while self.items.len() < SPANS_MAX
            && let Ok(item) = self.inbox.try_recv()
        {
            self.items.push_back(item);
        }
        while self.spans.len() < SPANS_MAX
            && let Some(item) = self.items.front()
        {
            let spans = self.spans_of(item).await;
            self.items.pop_front();
            match spans {
                Ok(spans) => self.spans.extend(spans),
                Err(why) => {
                    tracing::warn!(%why, "dropped a span");
                    self.meter.dropped(DropReason::JournalUnreadable, 1);
                }
            }
        }
    }

    async fn spans_of(&self, item: &Item) -> Result<Vec<Span>, String> {
        let rotation = match item {
            Item::Call(span) => return Ok(vec![span.as_ref().clone()]),
            Item::Entry { rotation, .. } | Item::Since { rotation, .. } => *rotation,
        };
        let entries = self.journal.entries(rotation).await.map_err(|error| error.to_string())?;
        let steps = entries.iter().map(|entry| {
            let Entry { at, actor, key, event, .. } = entry;
            Step { at: *at, actor, key: key.as_ref(), event }
        });
        let finished = trace::finished(steps).map_err(|error| error.to_string())?;
        let is_wanted = |it: &FinishedSpan| match item {
            Item::Entry { entry, .. } => it.entry == *entry,
            Item::Since { from, .. } => it.span.end >= *from,
            Item::Call(_) => false,
        };
        Ok(finished.into_iter().filter(is_wanted).map(|it| it.span).collect())
    }

    /// Sends the spans, or drops them after the last retry.
    async fn send(&mut self, stop: &CancellationToken) {
        let (started, mut failures) = (Instant::now(), 0u32);
        let ExportError { is_final, why, .. } = loop {
            match self.collector.take(&self.spans).await {
                Ok(rejected) => return self.accepted(rejected),
                Err(error) => {
                    failures += 1;
                    let wait = RETRY.wait(failures, error.retry_after, self.spans.len()).unsigned_abs();
                    let too_long = started.elapsed() + wait > RETRY_FOR.unsigned_abs();
                    if error.is_final || too_long || stop.is_cancelled() {
                        break error;
                    }
                    self.report_failure(&error.why);
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        };
        self.report_failure(&why);
        let reason = if is_final { DropReason::Rejected } else { DropReason::Undelivered };
        self.meter.dropped(reason, self.spans.len());
        self.spans.clear();
    }

    fn accepted(&mut self, rejected: usize) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("the collector accepts spans again");
        }
        if rejected > 0 {
            tracing::warn!(rejected, "the collector rejected some spans");
            self.meter.dropped(DropReason::Rejected, rejected);
        }
        self.meter.sent(self.spans.len().saturating_sub(rejected));
        self.spans.clear();
    }

    /// Logs the failure once, until the collector accepts spans again.
    fn report_failure(&mut self, why: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(why, "cannot send spans to the collector; rotations continue");
        }
    }
}
