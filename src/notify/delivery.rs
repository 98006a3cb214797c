//! Delivers the notifications of one channel, oldest first: one by one, or as a digest if the receiver supports it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::domain::backoff;
use crate::domain::ids::ChannelName;
use crate::domain::notification::{ChannelFailure, Notification};
use crate::domain::time::later;
use crate::ports::clock::Clock;
use crate::ports::journal;
use crate::ports::notifier::{DeliveryError, Notifier};
use crate::ports::outbox::{DeliveryOutcome, Outbox, PendingNotifications};
use crate::telemetry::observation::{ChannelCounts, Status};

/// The number of due notifications from which they are sent as a digest.
const DIGEST_FROM: usize = 4;
/// The rate limit for messages that people read; further notifications become part of a digest.
const PER_MINUTE_MAX: usize = 6;
const MINUTE: Duration = Duration::from_secs(60);
/// The largest number of undelivered notifications of a channel; beyond it, the oldest are dropped.
const WAITING_MAX: u64 = 500;
const READ_MAX: usize = 500;
/// Notifications that are undelivered for this long are dropped.
const DROPPED_AFTER: SignedDuration = SignedDuration::from_hours(48);
/// How long a stopping daemon waits for the current delivery.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);
const JOURNAL_RETRY: Duration = Duration::from_secs(5);
/// The longest back-off of a delivery, as of [`backoff::CALLS`] with a receiver that asks for an hour.
const RETRY_MAX: Duration = Duration::from_hours(1);

/// Wakes a worker, and passes it notifications that cannot be stored in the journal.
#[derive(Default)]
pub(super) struct UrgentQueue {
    pub(super) wake: Notify,
    urgent: Mutex<Vec<Notification>>,
}

impl UrgentQueue {
    pub(super) fn put(&self, notification: Notification) {
        self.urgent.lock().unwrap_or_else(PoisonError::into_inner).push(notification);
        self.wake.notify_one();
    }

    fn first(&self) -> Option<Notification> {
        self.urgent.lock().unwrap_or_else(PoisonError::into_inner).first().cloned()
    }

    /// Removes the first notification, or replaces it by `retry`.
    fn replace_first(&self, retry: Option<Notification>) {
        let mut urgent = self.urgent.lock().unwrap_or_else(PoisonError::into_inner);
        match (urgent.first_mut(), retry) {
            (Some(first), Some(notification)) => *first = notification,
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
    pub(super) urgent_queue: Arc<UrgentQueue>,
    pub(super) status: watch::Sender<Status>,
    pub(super) failing: Option<ChannelFailure>,
}

/// The state of a worker between two deliveries.
#[derive(Default)]
struct WorkerState {
    /// When each message of the last minute was delivered.
    sent: VecDeque<Instant>,
    /// The outcome of the last delivery until it is stored; no message is sent before.
    unsettled: Option<DeliveryOutcome>,
    retry: RetryTimer,
    urgent_retry: RetryTimer,
}

/// Waits for a notification's next attempt by the timer, from when its due time was first read: a wall clock that is set
/// neither delays nor hurries it.
#[derive(Default)]
struct RetryTimer(Option<(u64, Timestamp, Instant)>);

impl RetryTimer {
    /// The delay until the attempt; `None` if it is due.
    fn left(&mut self, notification: &Notification, now: Timestamp) -> Option<Duration> {
        let Notification { number, due, .. } = *notification;
        let known = self.0.filter(|(known, at, _)| (*known, *at) == (number, due));
        let attempt = match known {
            Some((_, _, attempt)) => attempt,
            None => {
                let wait = Duration::try_from(due.duration_since(now)).unwrap_or_default();
                Instant::now() + wait.min(RETRY_MAX)
            }
        };
        self.0 = Some((number, due, attempt));
        Some(attempt.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
    }
}

impl DeliveryWorker {
    /// Delivers until `stop`; the current delivery then has a few seconds. Undelivered notifications stay in the journal.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut state = WorkerState::default();
        self.report(|_| {});
        loop {
            let round = async {
                match self.round(&mut state).await {
                    Ok(rest) => rest,
                    Err(error) => {
                        tracing::error!(channel = %self.channel, %error, "cannot read or update the outbox");
                        Some(JOURNAL_RETRY)
                    }
                }
            };
            let rest = tokio::select! {
                rest = round => rest,
                () = deadline(&stop) => return,
            };
            let wait = async {
                match rest {
                    Some(rest) => tokio::time::sleep(rest).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.urgent_queue.wake.notified() => {}
                () = wait => {}
            }
        }
    }

    /// Delivers due notifications and returns the delay until the next round; `None` to wait for a wake-up.
    async fn round(&mut self, state: &mut WorkerState) -> Result<Option<Duration>, journal::Error> {
        let urgent = self.urgent(&mut state.urgent_retry).await;
        loop {
            if let Some(outcome) = &state.unsettled {
                self.outbox.settle(outcome).await?;
                state.unsettled = None;
            }
            let waiting = self.outbox.waiting(&self.channel, READ_MAX).await?;
            self.report(|counts| counts.waiting = waiting.count);
            if let Some(outcome) = self.overflow(&waiting) {
                state.unsettled = Some(outcome);
                continue;
            }
            let now = self.clock.now();
            let notifications = match self.batch(&waiting.notifications, state, now) {
                Ok(notifications) => notifications,
                Err(rest) => return Ok([rest, urgent].into_iter().flatten().min()),
            };
            let outcome = self.notifier.deliver(notifications).await;
            if outcome.is_ok() && self.notifier.batch_max() > 1 {
                state.sent.push_back(Instant::now());
            }
            state.unsettled = Some(self.settle(notifications, outcome));
        }
    }

    /// The notifications to deliver now, or the delay until then.
    fn batch<'l>(
        &self,
        notifications: &'l [Notification],
        state: &mut WorkerState,
        now: Timestamp,
    ) -> Result<&'l [Notification], Option<Duration>> {
        let Some(first) = notifications.first() else { return Err(None) };
        if let Some(left) = state.retry.left(first, now) {
            return Err(Some(left));
        }
        while state.sent.front().is_some_and(|sent| sent.elapsed() >= MINUTE) {
            state.sent.pop_front();
        }
        if let Some(oldest) = state.sent.front().filter(|_| state.sent.len() >= PER_MINUTE_MAX) {
            return Err(Some(MINUTE.saturating_sub(oldest.elapsed())));
        }
        let due =
            notifications.iter().take_while(|notification| notification.due <= now.max(first.due)).count();
        let many = due.min(self.notifier.batch_max());
        let count = if many >= DIGEST_FROM { many } else { 1 };
        Ok(notifications.get(..count).unwrap_or_default())
    }

    /// Drops the oldest notifications beyond the limit.
    fn overflow(&self, waiting: &PendingNotifications) -> Option<DeliveryOutcome> {
        let excess = usize::try_from(waiting.count.saturating_sub(WAITING_MAX)).ok().filter(|it| *it > 0)?;
        let done: Vec<u64> =
            waiting.notifications.iter().take(excess).map(|notification| notification.number).collect();
        tracing::error!(channel = %self.channel, count = done.len(), "too many undelivered notifications: dropped the oldest");
        self.report(|counts| counts.dropped += count(done.len()));
        Some(DeliveryOutcome {
            channel: self.channel.clone(),
            done,
            again: vec![],
            failing: self.failing.clone(),
        })
    }

    fn settle(
        &mut self,
        notifications: &[Notification],
        outcome: Result<String, DeliveryError>,
    ) -> DeliveryOutcome {
        let now = self.clock.now();
        let numbers = || notifications.iter().map(|notification| notification.number).collect();
        let channel = self.channel.clone();
        let failed = match outcome {
            Ok(response) => {
                tracing::info!(%channel, notifications = notifications.len(), "{response}");
                self.failing = None;
                self.report(|counts| counts.delivered += count(notifications.len()));
                return DeliveryOutcome { channel, done: numbers(), again: vec![], failing: None };
            }
            Err(failed) => failed,
        };
        let since = self.failing.as_ref().map_or(now, |failing| failing.since);
        self.failing = Some(ChannelFailure { channel: channel.clone(), since, why: failed.why.clone() });
        let failing = self.failing.clone();
        let too_old = notifications.first().is_some_and(|it| now.duration_since(it.at) > DROPPED_AFTER);
        if failed.is_final || too_old {
            tracing::error!(%channel, notifications = notifications.len(), why = %failed.why, "dropped notifications");
            self.report(|counts| counts.dropped += count(notifications.len()));
            return DeliveryOutcome { channel, done: numbers(), again: vec![], failing };
        }
        self.report(|counts| counts.failed += 1);
        // One due time for all, so that they stay one digest.
        let due = notifications.first().map_or(now, |oldest| retry_at(oldest, &failed, now));
        let again = notifications.iter().map(|notification| (notification.number, due)).collect();
        tracing::warn!(%channel, notifications = notifications.len(), why = %failed.why, "cannot deliver notifications");
        DeliveryOutcome { channel, done: vec![], again, failing }
    }

    /// Delivers notifications that are not in the journal; returns the delay until the next retry.
    async fn urgent(&mut self, retry: &mut RetryTimer) -> Option<Duration> {
        while let Some(notification) = self.urgent_queue.first() {
            let now = self.clock.now();
            if let Some(left) = retry.left(&notification, now) {
                return Some(left);
            }
            let outcome = self.notifier.deliver(std::slice::from_ref(&notification)).await;
            let outcome = self.settle(std::slice::from_ref(&notification), outcome);
            let again = outcome.again.first().map(|(_, due)| *due);
            let failures = notification.failures + 1;
            self.urgent_queue.replace_first(again.map(|due| Notification { failures, due, ..notification }));
        }
        None
    }

    fn report(&self, change: impl FnOnce(&mut ChannelCounts)) {
        self.status.send_modify(|status| {
            let counts = status.channels.entry(self.channel.clone()).or_default();
            counts.failing.clone_from(&self.failing);
            change(counts);
        });
    }
}

fn retry_at(notification: &Notification, failed: &DeliveryError, now: Timestamp) -> Timestamp {
    let wait = backoff::CALLS.wait(
        notification.failures + 1,
        failed.retry_after,
        (&notification.channel, &notification.id),
    );
    later(now, wait)
}

async fn deadline(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(SHUTDOWN_GRACE).await;
}

fn count(of: usize) -> u64 {
    u64::try_from(of).unwrap_or(u64::MAX)
}
