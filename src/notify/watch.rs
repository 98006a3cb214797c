//! Looks again and again at what is observed, and journals what of it is news before anybody is told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::{ChannelName, WorkspaceName};
use crate::domain::notification::alerts::{Answers, Facts, Look};
use crate::domain::notification::incidents::{Incidents, Interests};
use crate::domain::notification::occurrences::{self, Occurrences};
use crate::domain::report::StatusReport;
use crate::engine::WorkspaceHealth;
use crate::notify::delivery::{DeliveryWorker, UrgentQueue};
use crate::notify::{Channel, Channels};
use crate::ports::clock::Clock;
use crate::ports::journal;
use crate::ports::outbox::Outbox;
use crate::telemetry::observation::{Observation, Observer, Status};

/// Looks are between these apart, and three within the time that a trouble has to last.
const LOOKS_APART_MIN: Duration = Duration::from_millis(500);
const LOOKS_APART_MAX: Duration = Duration::from_secs(10);

/// Tells people, for as long as the daemon lives.
pub struct Announcer {
    pub observer: Observer,
    pub outbox: Arc<dyn Outbox>,
    pub clock: Arc<dyn Clock>,
    /// As the policy in force has them.
    pub channels: watch::Receiver<Arc<Channels>>,
    /// Where it is told how the channels fare.
    pub status: watch::Sender<Status>,
    /// How long a trouble lasts before it is told.
    pub patience: SignedDuration,
}

/// The couriers under way.
struct Round {
    interests: Interests,
    mailboxes: BTreeMap<ChannelName, Arc<UrgentQueue>>,
    couriers: JoinSet<()>,
    stop: CancellationToken,
}

/// What was told before, once the journal has said so.
#[derive(Default)]
struct Memory {
    told: Option<(Incidents, Occurrences)>,
    /// What the journal itself cannot keep: that it cannot be used.
    unjournalled: Incidents,
}

impl Announcer {
    /// Looks and tells until `stop`; then waits a few seconds for deliveries under way.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut memory = Memory::default();
        let apart = (self.patience.unsigned_abs() / 3).clamp(LOOKS_APART_MIN, LOOKS_APART_MAX);
        let mut round = self.begin().await;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = self.channels.changed() => {
                    round.end().await;
                    round = self.begin().await;
                }
                () = tokio::time::sleep(apart) => self.look(&mut memory, &round).await,
            }
        }
        round.end().await;
    }

    /// Sends a courier out for each channel of the policy in force.
    async fn begin(&mut self) -> Round {
        let channels = Arc::clone(&self.channels.borrow_and_update());
        let names: BTreeSet<ChannelName> = channels.keys().cloned().collect();
        self.status.send_modify(|status| status.channels.retain(|name, _| names.contains(name)));
        let failing = match self.outbox.keep_only(&names).await {
            Ok(()) => self.outbox.recall().await.map(|recalled| recalled.failing),
            Err(error) => Err(error),
        };
        let failing = failing.unwrap_or_else(|error| {
            tracing::error!(%error, "the notices that wait cannot be read");
            vec![]
        });
        let stop = CancellationToken::new();
        let (mut couriers, mut mailboxes) = (JoinSet::new(), BTreeMap::new());
        for (name, Channel { notifier, interest: _ }) in channels.iter() {
            let mailbox = Arc::new(UrgentQueue::default());
            mailboxes.insert(name.clone(), Arc::clone(&mailbox));
            let courier = DeliveryWorker {
                channel: name.clone(),
                notifier: Arc::clone(notifier),
                outbox: Arc::clone(&self.outbox),
                clock: Arc::clone(&self.clock),
                mailbox,
                status: self.status.clone(),
                failing: failing.iter().find(|it| it.channel == *name).cloned(),
            };
            couriers.spawn(courier.run(stop.clone()));
        }
        let interests = channels.iter().map(|(name, it)| (name.clone(), it.interest.clone())).collect();
        Round { interests, mailboxes, couriers, stop }
    }

    async fn look(&self, memory: &mut Memory, round: &Round) {
        if round.interests.is_empty() {
            return;
        }
        let observation = self.observer.observe().await;
        if observation.status.draining {
            return;
        }
        let now = self.clock.now();
        let posted = match &observation.report {
            Ok(_) if !observation.is_journal_writable => Err("it cannot be written".to_owned()),
            Ok(report) => {
                let posted = self.post(memory, round, &observation, report, now).await;
                posted.map_err(|error| error.to_string())
            }
            Err(why) => Err(why.clone()),
        };
        let look = match posted {
            Ok(()) => Look::default(),
            Err(why) => Look::journal_unusable(&why, now),
        };
        let change = memory.unjournalled.news(&look, &round.interests, self.patience, now);
        for letter in change.letters {
            if let Some(mailbox) = round.mailboxes.get(&letter.channel) {
                mailbox.put(letter);
            }
        }
    }

    /// Journals what is news; then the couriers may see it.
    async fn post(
        &self,
        memory: &mut Memory,
        round: &Round,
        observation: &Observation,
        report: &StatusReport,
        now: Timestamp,
    ) -> Result<(), journal::Error> {
        let (mut threads, mut told) = match memory.told.take() {
            Some(told) => told,
            None => {
                let recalled = self.outbox.recall().await?;
                (Incidents::new(recalled.threads), recalled.tales)
            }
        };
        let workspaces = answers(observation);
        let look = Look::new(Facts {
            report,
            workspaces: &workspaces,
            reload_refused: observation.status.reload_refused.as_deref(),
            is_alive: observation.is_alive(),
            now,
        });
        let before = (threads.clone(), told.clone());
        let mut change = threads.news(&look, &round.interests, self.patience, now);
        occurrences::add(&mut change, &mut told, report, &round.interests, now);
        let posted = if change.is_empty() { Ok(()) } else { self.outbox.post(&change).await };
        memory.told = Some(if posted.is_ok() { (threads, told) } else { before });
        posted?;
        let woken: BTreeSet<&ChannelName> = change.letters.iter().map(|letter| &letter.channel).collect();
        for mailbox in woken.into_iter().filter_map(|name| round.mailboxes.get(name)) {
            mailbox.wake.notify_one();
        }
        Ok(())
    }
}

impl Round {
    async fn end(&mut self) {
        self.stop.cancel();
        while self.couriers.join_next().await.is_some() {}
    }
}

fn answers(observation: &Observation) -> BTreeMap<WorkspaceName, Answers> {
    let of = |reach: &WorkspaceHealth| match (&reach.failing, reach.last_answer) {
        (Some(failure), _) => Answers::Failing(failure.clone()),
        (None, Some(_)) => Answers::Well,
        (None, None) => Answers::Unasked,
    };
    observation.workspaces.iter().map(|(name, reach)| (name.clone(), of(reach))).collect()
}
