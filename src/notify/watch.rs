//! Observes the state periodically and stores the resulting notifications before they are delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::{ChannelName, WorkspaceName};
use crate::domain::notification::alerts::{AlertInputs, AlertSet, WorkspaceState};
use crate::domain::notification::incidents::{Incidents, Subscriptions};
use crate::domain::notification::occurrences::{self, Occurrences};
use crate::domain::report::StatusReport;
use crate::engine::WorkspaceHealth;
use crate::notify::delivery::{DeliveryWorker, UrgentQueue};
use crate::notify::{Channel, Channels};
use crate::ports::clock::Clock;
use crate::ports::journal;
use crate::ports::outbox::Outbox;
use crate::telemetry::observation::{Observation, Observer, Status};

/// The bounds of the interval between two updates; three updates fall within `notify_after`.
const INTERVAL_MIN: Duration = Duration::from_millis(500);
const INTERVAL_MAX: Duration = Duration::from_secs(10);

/// Notifies the channels of the policy for as long as the daemon runs.
pub struct NotificationService {
    pub observer: Observer,
    pub outbox: Arc<dyn Outbox>,
    pub clock: Arc<dyn Clock>,
    /// The channels of the policy in force.
    pub channels: watch::Receiver<Arc<Channels>>,
    /// Receives the delivery counts of the channels.
    pub status: watch::Sender<Status>,
    /// How long an alert fires before it opens an incident.
    pub notify_after: SignedDuration,
}

/// The running workers.
struct Workers {
    subscriptions: Subscriptions,
    queues: BTreeMap<ChannelName, Arc<UrgentQueue>>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

/// The stored state, read from the outbox on first use.
#[derive(Default)]
struct Memory {
    stored: Option<(Incidents, Occurrences)>,
    /// The incident of an unusable journal, which cannot be stored in the journal.
    journal: Incidents,
}

impl NotificationService {
    /// Runs until `stop`, then waits a few seconds for current deliveries.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut memory = Memory::default();
        let interval = (self.notify_after.unsigned_abs() / 3).clamp(INTERVAL_MIN, INTERVAL_MAX);
        let mut workers = self.start().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = self.channels.changed() => {
                    workers.stop().await;
                    workers = self.start().await;
                }
                () = tokio::time::sleep(interval) => self.update(&mut memory, &workers).await,
            }
        }
        workers.stop().await;
    }

    /// Starts a worker for each channel of the policy in force.
    async fn start(&mut self) -> Workers {
        let channels = Arc::clone(&self.channels.borrow_and_update());
        let names: BTreeSet<ChannelName> = channels.keys().cloned().collect();
        self.status.send_modify(|status| status.channels.retain(|name, _| names.contains(name)));
        let failing = match self.outbox.keep_only(&names).await {
            Ok(()) => self.outbox.recall().await.map(|recalled| recalled.failing),
            Err(error) => Err(error),
        };
        let failing = failing.unwrap_or_else(|error| {
            tracing::error!(%error, "cannot read the undelivered notifications");
            vec![]
        });
        let stop = CancellationToken::new();
        let (mut tasks, mut queues) = (JoinSet::new(), BTreeMap::new());
        for (name, Channel { notifier, subscription: _ }) in channels.iter() {
            let urgent_queue = Arc::new(UrgentQueue::default());
            queues.insert(name.clone(), Arc::clone(&urgent_queue));
            let worker = DeliveryWorker {
                channel: name.clone(),
                notifier: Arc::clone(notifier),
                outbox: Arc::clone(&self.outbox),
                clock: Arc::clone(&self.clock),
                urgent_queue,
                status: self.status.clone(),
                failing: failing.iter().find(|it| it.channel == *name).cloned(),
            };
            tasks.spawn(worker.run(stop.clone()));
        }
        let subscriptions =
            channels.iter().map(|(name, it)| (name.clone(), it.subscription.clone())).collect();
        Workers { subscriptions, queues, tasks, stop }
    }

    async fn update(&self, memory: &mut Memory, workers: &Workers) {
        if workers.subscriptions.is_empty() {
            return;
        }
        let observation = self.observer.observe().await;
        if observation.status.draining {
            return;
        }
        let now = self.clock.now();
        let posted = match &observation.report {
            Ok(_) if !observation.is_journal_writable => Err("not writable".to_owned()),
            Ok(report) => {
                let posted = self.post(memory, workers, &observation, report, now).await;
                posted.map_err(|error| error.to_string())
            }
            Err(why) => Err(why.clone()),
        };
        let firing = match posted {
            Ok(()) => AlertSet::default(),
            Err(why) => AlertSet::journal_unusable(&why, now),
        };
        let change = memory.journal.update(&firing, &workers.subscriptions, self.notify_after, now);
        for notification in change.notifications {
            if let Some(urgent_queue) = workers.queues.get(&notification.channel) {
                urgent_queue.put(notification);
            }
        }
    }

    /// Stores the change, then wakes the workers.
    async fn post(
        &self,
        memory: &mut Memory,
        workers: &Workers,
        observation: &Observation,
        report: &StatusReport,
        now: Timestamp,
    ) -> Result<(), journal::Error> {
        let (mut incidents, mut occurrences) = match memory.stored.take() {
            Some(stored) => stored,
            None => {
                let recalled = self.outbox.recall().await?;
                (Incidents::new(recalled.incidents), recalled.occurrences)
            }
        };
        let workspaces = workspace_states(observation);
        let firing = AlertSet::new(AlertInputs {
            report,
            workspaces: &workspaces,
            reload_refused: observation.status.reload_refused.as_deref(),
            is_alive: observation.is_alive(),
            now,
        });
        let before = (incidents.clone(), occurrences.clone());
        let mut change = incidents.update(&firing, &workers.subscriptions, self.notify_after, now);
        occurrences::add(&mut change, &mut occurrences, report, &workers.subscriptions, now);
        let posted = if change.is_empty() { Ok(()) } else { self.outbox.post(&change).await };
        memory.stored = Some(if posted.is_ok() { (incidents, occurrences) } else { before });
        posted?;
        let receivers: BTreeSet<&ChannelName> =
            change.notifications.iter().map(|notification| &notification.channel).collect();
        for urgent_queue in receivers.into_iter().filter_map(|name| workers.queues.get(name)) {
            urgent_queue.wake.notify_one();
        }
        Ok(())
    }
}

impl Workers {
    async fn stop(&mut self) {
        self.stop.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

fn workspace_states(observation: &Observation) -> BTreeMap<WorkspaceName, WorkspaceState> {
    let of = |reach: &WorkspaceHealth| match (&reach.failing, reach.last_answer) {
        (Some(failure), _) => WorkspaceState::Failing(failure.clone()),
        (None, Some(_)) => WorkspaceState::Reachable,
        (None, None) => WorkspaceState::Unknown,
    };
    observation.workspaces.iter().map(|(name, reach)| (name.clone(), of(reach))).collect()
}
