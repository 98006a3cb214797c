//! Sends what waits in the queue: many spans at a time, tried again as long as that may help, and never in anybody's way.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::backoff::Backoff;
use crate::domain::trace::{self, Finished, Span, Step};
use crate::ports::collector::{Collector, ExportError};
use crate::ports::journal::{Entry, Journal};
use crate::telemetry::meter::Meter;
use crate::telemetry::traces::{GIVEN_UP_AFTER, Item, Loss, Queue, resend};

/// What happens within this time is sent together.
const TOGETHER: Duration = Duration::from_secs(1);
/// Of one request; a receiver takes a few megabytes.
const SPANS_MAX: usize = 512;
/// A stopping daemon waits so long for what is still to be sent.
const LAST_WORDS: Duration = Duration::from_secs(3);
const AGAIN: Backoff = Backoff { first: SignedDuration::from_secs(1), cap: SignedDuration::from_secs(30) };

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

    /// Takes up what the process before this one may not have said. To be called before this one writes anything.
    pub async fn take_up(&mut self) {
        match resend::items(self.journal.as_ref()).await {
            Ok(items) => self.items.extend(items),
            Err(error) => {
                tracing::warn!(%error, "the spans that the process before may not have sent are not told");
                self.meter.lost(Loss::Unread, 1);
            }
        }
    }

    /// Sends until `stop`, and then what is left, for a few seconds.
    pub async fn run(mut self, stop: CancellationToken) {
        let cut_off = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = self.work(&stop) => {}
            () = cut_off => {}
        }
        let left = self.spans.len() + self.items.len() + self.inbox.len();
        if left > 0 {
            self.meter.lost(Loss::GivenUp, left);
        }
    }

    async fn work(&mut self, stop: &CancellationToken) {
        loop {
            self.gather(stop).await;
            if !self.spans.is_empty() {
                self.deliver(stop).await;
            } else if stop.is_cancelled() && self.items.is_empty() && self.inbox.is_empty() {
                return;
            }
        }
    }

    /// Waits for something to tell, and for what comes soon after it.
    async fn gather(&mut self, stop: &CancellationToken) {
        if self.items.is_empty() && !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                item = self.inbox.recv() => match item {
                    Some(item) => self.items.push_back(item),
                    // Whoever could tell anything is gone.
                    None => stop.cancelled().await,
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(TOGETHER) => {}
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
            let told = self.told(item).await;
            self.items.pop_front();
            match told {
                Ok(spans) => self.spans.extend(spans),
                Err(why) => {
                    tracing::warn!(%why, "a span is not told");
                    self.meter.lost(Loss::Unread, 1);
                }
            }
        }
    }

    async fn told(&self, item: &Item) -> Result<Vec<Span>, String> {
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
        let is_meant = |it: &Finished| match item {
            Item::Entry { entry, .. } => it.entry == *entry,
            Item::Since { from, .. } => it.span.end >= *from,
            Item::Call(_) => false,
        };
        Ok(finished.into_iter().filter(is_meant).map(|it| it.span).collect())
    }

    /// Has the spans taken, or gives them up.
    async fn deliver(&mut self, stop: &CancellationToken) {
        let (begun, mut failures) = (Instant::now(), 0u32);
        let ExportError { is_final, why, .. } = loop {
            match self.collector.take(&self.spans).await {
                Ok(refused) => return self.taken(refused),
                Err(untaken) => {
                    failures += 1;
                    let wait = AGAIN.wait(failures, untaken.retry_after, self.spans.len()).unsigned_abs();
                    let too_long = begun.elapsed() + wait > GIVEN_UP_AFTER.unsigned_abs();
                    if untaken.is_final || too_long || stop.is_cancelled() {
                        break untaken;
                    }
                    self.tell_failing(&untaken.why);
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        };
        self.tell_failing(&why);
        let loss = if is_final { Loss::Refused } else { Loss::GivenUp };
        self.meter.lost(loss, self.spans.len());
        self.spans.clear();
    }

    fn taken(&mut self, refused: usize) {
        if std::mem::take(&mut self.failing) {
            tracing::info!("the collector takes spans again");
        }
        if refused > 0 {
            tracing::warn!(refused, "the collector refuses some spans");
            self.meter.lost(Loss::Refused, refused);
        }
        self.meter.sent(self.spans.len().saturating_sub(refused));
        self.spans.clear();
    }

    /// Once, until it takes some again.
    fn tell_failing(&mut self, why: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::warn!(why, "the collector does not take spans; rotations go on");
        }
    }
}
