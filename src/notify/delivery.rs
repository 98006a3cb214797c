//! Delivers one channel's letters, the oldest first: one at a time, or many in one where the receiver takes that.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::backoff;
use crate::domain::ids::ChannelName;
use crate::domain::notification::{Failing, Notification};
use crate::domain::time::later;
use crate::ports::clock::Clock;
use crate::ports::journal;
use crate::ports::notifier::{DeliveryError, Notifier};
use crate::ports::outbox::{DeliveryOutcome, Outbox, PendingNotifications};
use crate::telemetry::observation::{Status, Tally};

/// So many at once are told in one, where the receiver takes that.
const DIGEST_FROM: usize = 4;
/// Messages that a minute may bring to people; what there is beyond that is told together.
const PER_MINUTE_MAX: usize = 6;
const MINUTE: Duration = Duration::from_secs(60);
/// Letters that wait for a channel that does not take them; the oldest are given up for the newest.
const WAITING_MAX: u64 = 500;
const LOOKED_AT_MAX: usize = 500;
/// What could not be delivered for so long is no news.
const GIVEN_UP_AFTER: SignedDuration = SignedDuration::from_hours(48);
/// A stopping daemon waits so long for the delivery under way.
const LAST_WORDS: Duration = Duration::from_secs(3);
const JOURNAL_AGAIN: Duration = Duration::from_secs(5);

/// Where letters reach a courier that the journal cannot hold, and by which it is woken.
#[derive(Default)]
pub(super) struct UrgentQueue {
    pub(super) wake: Notify,
    urgent: Mutex<Vec<Notification>>,
}

impl UrgentQueue {
    pub(super) fn put(&self, letter: Notification) {
        self.urgent.lock().unwrap_or_else(PoisonError::into_inner).push(letter);
        self.wake.notify_one();
    }

    fn first(&self) -> Option<Notification> {
        self.urgent.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    /// Puts `instead` in the place of the first, if it is to be sent again.
    fn replace_first(&self, instead: Option<Notification>) {
        let mut urgent = self.urgent.lock().unwrap_or_else(PoisonError::into_inner);
        match (urgent.first_mut(), instead) {
            (Some(first), Some(letter)) => *first = letter,
            (Some(_), None) => drop(urgent.remove(0)),
            (None, _) => {}
        }
    }
}

pub(super) struct DeliveryWorker {
    pub(super) channel: ChannelName,
    pub(super) notifier: Arc<dyn Notifier>,
    pub(super) outbox: Arc<dyn Outbox>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) mailbox: Arc<UrgentQueue>,
    pub(super) status: watch::Sender<Status>,
    pub(super) failing: Option<Failing>,
}

/// What a courier remembers between two deliveries.
#[derive(Default)]
struct Memory {
    /// When messages were delivered within the last minute.
    sent: VecDeque<Instant>,
    /// What came of a delivery, as long as the journal has not taken it: nothing more is sent before.
    unsettled: Option<DeliveryOutcome>,
}

impl DeliveryWorker {
    /// Delivers until `stop`; a delivery under way then has a few seconds. What is not delivered is in the journal.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut memory = Memory::default();
        self.tell(|_| {});
        loop {
            let round = async {
                match self.round(&mut memory).await {
                    Ok(rest) => rest,
                    Err(error) => {
                        tracing::error!(channel = %self.channel, %error, "notices cannot be read or settled");
                        Some(JOURNAL_AGAIN)
                    }
                }
            };
            let rest = tokio::select! {
                rest = round => rest,
                () = cut_off(&stop) => return,
            };
            let wait = async {
                match rest {
                    Some(rest) => tokio::time::sleep(rest).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.mailbox.wake.notified() => {}
                () = wait => {}
            }
        }
    }

    /// Delivers what is due, and says when to look again; `None` when woken.
    async fn round(&mut self, memory: &mut Memory) -> Result<Option<Duration>, journal::Error> {
        let urgent = self.urgent().await;
        loop {
            if let Some(settlement) = &memory.unsettled {
                self.outbox.settle(settlement).await?;
                memory.unsettled = None;
            }
            let waiting = self.outbox.waiting(&self.channel, LOOKED_AT_MAX).await?;
            self.tell(|tally| tally.waiting = waiting.count);
            if let Some(settlement) = self.too_many(&waiting) {
                memory.unsettled = Some(settlement);
                continue;
            }
            let now = self.clock.now();
            let letters = match self.batch(&waiting.letters, memory, now) {
                Ok(letters) => letters,
                Err(rest) => return Ok([rest, urgent].into_iter().flatten().min()),
            };
            let outcome = self.notifier.deliver(letters).await;
            if outcome.is_ok() && self.notifier.letters_at_once() > 1 {
                memory.sent.push_back(Instant::now());
            }
            memory.unsettled = Some(self.settlement(letters, outcome));
        }
    }

    /// The letters to deliver now, or how long to wait.
    fn batch<'l>(
        &self,
        letters: &'l [Notification],
        memory: &mut Memory,
        now: Timestamp,
    ) -> Result<&'l [Notification], Option<Duration>> {
        let Some(first) = letters.first() else { return Err(None) };
        if first.due > now {
            return Err(Some(first.due.duration_since(now).unsigned_abs()));
        }
        while memory.sent.front().is_some_and(|sent| sent.elapsed() >= MINUTE) {
            memory.sent.pop_front();
        }
        if let Some(oldest) = memory.sent.front().filter(|_| memory.sent.len() >= PER_MINUTE_MAX) {
            return Err(Some(MINUTE.saturating_sub(oldest.elapsed())));
        }
        let due = letters.iter().take_while(|letter| letter.due <= now).count();
        let many = due.min(self.notifier.letters_at_once());
        let count = if many >= DIGEST_FROM { many } else { 1 };
        Ok(letters.get(..count).unwrap_or_default())
    }

    /// What the channel cannot have taken in any more.
    fn too_many(&self, waiting: &PendingNotifications) -> Option<DeliveryOutcome> {
        let excess = usize::try_from(waiting.count.saturating_sub(WAITING_MAX)).ok().filter(|it| *it > 0)?;
        let done: Vec<u64> = waiting.letters.iter().take(excess).map(|letter| letter.number).collect();
        tracing::error!(channel = %self.channel, count = done.len(), "too many notices wait: the oldest are given up");
        self.tell(|tally| tally.lost += count(done.len()));
        Some(DeliveryOutcome {
            channel: self.channel.clone(),
            done,
            again: vec![],
            failing: self.failing.clone(),
        })
    }

    fn settlement(
        &mut self,
        letters: &[Notification],
        outcome: Result<String, DeliveryError>,
    ) -> DeliveryOutcome {
        let now = self.clock.now();
        let numbers = || letters.iter().map(|letter| letter.number).collect();
        let channel = self.channel.clone();
        let failed = match outcome {
            Ok(words) => {
                tracing::info!(%channel, notices = letters.len(), "{words}");
                self.failing = None;
                self.tell(|tally| tally.delivered += count(letters.len()));
                return DeliveryOutcome { channel, done: numbers(), again: vec![], failing: None };
            }
            Err(failed) => failed,
        };
        let since = self.failing.as_ref().map_or(now, |failing| failing.since);
        self.failing = Some(Failing { channel: channel.clone(), since, why: failed.why.clone() });
        let failing = self.failing.clone();
        let too_old = letters.first().is_some_and(|it| now.duration_since(it.at) > GIVEN_UP_AFTER);
        if failed.is_final || too_old {
            tracing::error!(%channel, notices = letters.len(), why = %failed.why, "notices are given up");
            self.tell(|tally| tally.lost += count(letters.len()));
            return DeliveryOutcome { channel, done: numbers(), again: vec![], failing };
        }
        self.tell(|tally| tally.failed += 1);
        // All at one time, or they would come one by one.
        let due = letters.first().map_or(now, |oldest| again(oldest, &failed, now));
        let again = letters.iter().map(|letter| (letter.number, due)).collect();
        tracing::warn!(%channel, notices = letters.len(), why = %failed.why, "notices could not be delivered");
        DeliveryOutcome { channel, done: vec![], again, failing }
    }

    /// Delivers what the journal could not take; says when to try again what remains.
    async fn urgent(&mut self) -> Option<Duration> {
        while let Some(letter) = self.mailbox.first() {
            let now = self.clock.now();
            if letter.due > now {
                return Some(letter.due.duration_since(now).unsigned_abs());
            }
            let outcome = self.notifier.deliver(std::slice::from_ref(&letter)).await;
            let settlement = self.settlement(std::slice::from_ref(&letter), outcome);
            let again = settlement.again.first().map(|(_, due)| *due);
            let failures = letter.failures + 1;
            self.mailbox.replace_first(again.map(|due| Notification { failures, due, ..letter }));
        }
        None
    }

    fn tell(&self, change: impl FnOnce(&mut Tally)) {
        self.status.send_modify(|status| {
            let tally = status.channels.entry(self.channel.clone()).or_default();
            tally.failing.clone_from(&self.failing);
            change(tally);
        });
    }
}

fn again(letter: &Notification, failed: &DeliveryError, now: Timestamp) -> Timestamp {
    let wait = backoff::CALLS.wait(letter.failures + 1, failed.retry_after, (&letter.channel, &letter.id));
    later(now, wait)
}

async fn cut_off(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(LAST_WORDS).await;
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
