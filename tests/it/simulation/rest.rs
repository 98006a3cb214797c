//! The end of every scenario: nothing goes wrong any more, and everything that was begun has to end.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use rekeyd::domain::audit::ChainedAct;
use rekeyd::domain::audit::check::Checker;
use rekeyd::domain::ids::KeyId;
use rekeyd::domain::phase::Phase;
use rekeyd::domain::rotation::ParkReason;
use rekeyd::engine::Command;
use rekeyd::ports::journal::{AuditLog, Records};

use super::play::{Harness, seconds};
use super::witness::Witness;

/// How long a scenario may take to come to rest when nothing goes wrong any more.
const REST_HOURS: i64 = 80;

impl Harness {
    /// I7 and I4: in a kind world everything that was begun ends, an operator helping with what is parked.
    pub(super) async fn come_to_rest(&self) {
        self.settle().await;
        self.witness.check_audit(&self.journal.audit(0, usize::MAX).await.unwrap());
    }

    async fn settle(&self) {
        // What people broke is not mended by asking again and again.
        let (hours, pause) = if self.scenario.people_every > 0 { (20, 1800) } else { (REST_HOURS, 97) };
        let until = self.clock.truth() + SignedDuration::from_hours(hours);
        while self.clock.truth() < until {
            self.clock.sleep(seconds(pause)).await;
            self.lift_everything().await;
            self.lead_out().await;
            let handle = self.handle.lock().unwrap().clone();
            if let (Some(_), Some(handle)) = (self.at_rest().await, handle) {
                handle.sweep().await.unwrap();
                self.clock.sleep(seconds(60)).await;
                if let Some(current) = self.at_rest().await {
                    self.witness.check_orphans(&current);
                    return;
                }
            }
        }
        // What people have broken may stay parked; nobody retries it any more.
        self.clock.sleep(seconds(7200)).await;
        let open = self.journal.load().await.unwrap();
        let waits = open.iter().all(|(_, known)| {
            let known = known.as_ref().unwrap();
            let parked = known.rotation.as_ref().map(|rotation| {
                let young =
                    self.clock.truth().duration_since(rotation.plan.begun_at) < SignedDuration::from_hours(5);
                young || matches!(rotation.phase, Phase::Parked { .. })
            });
            parked.unwrap_or_else(|| known.record.current.is_some() || known.record.obstacle.is_some())
        });
        if self.scenario.people_every > 0 && waits {
            return;
        }
        let open = open.into_iter().map(|(name, known)| {
            let known = known.unwrap();
            (
                name,
                known.record.obstacle,
                known.rotation.map(|rotation| (rotation.phase, rotation.last_failure)),
            )
        });
        self.witness.blame("I7", &format!("not at rest: {:#?}", open.collect::<Vec<_>>()));
    }

    /// The current keys, if no rotation is under way.
    async fn at_rest(&self) -> Option<BTreeSet<KeyId>> {
        let mut known = self.journal.load().await.unwrap();
        // What was renamed has handed its key on.
        known.retain(|(name, known)| {
            let renamed = self.policy.lock().unwrap().renamed(name).is_some();
            !renamed || known.as_ref().is_ok_and(|known| known.rotation.is_some())
        });
        let mut current = BTreeSet::new();
        for (_, known) in &known {
            let known = known.as_ref().unwrap();
            current.insert(known.record.current.as_ref().filter(|_| known.rotation.is_none())?.key.clone());
        }
        (known.len() == self.policy.lock().unwrap().credentials.len()).then_some(current)
    }

    /// Retries what is parked, and confirms what was retried after an alarm.
    async fn lead_out(&self) {
        self.clear_up_after_the_second().await;
        for (name, known) in self.journal.load().await.unwrap() {
            let handle = self.handle.lock().unwrap().clone();
            let (Some(rotation), Some(handle)) = (known.unwrap().rotation, handle) else { continue };
            let wish = if let Phase::Parked { reason, .. } = &rotation.phase {
                // As the runbook says: a new key whose value is lost is of no use, however often it is tried.
                let lost = *reason == ParkReason::NewKeyUnusable && rotation.can_roll_back();
                // And an old key that somebody enabled is disabled again when the consumers have the new one.
                if let (ParkReason::OldKeyReenabled, Some(old)) = (reason, &rotation.plan.old) {
                    self.meddle(old, Some(false));
                }
                if lost { Command::RollBack } else { Command::Retry { overwrite: true } }
            } else if rotation.confirmation.after_an_alarm && matches!(rotation.phase, Phase::Overlap(_)) {
                Command::Confirm
            } else {
                continue;
            };
            let asked =
                format!("the operator wishes {wish:?} of {name} in {}", rotation.phase.name().label());
            let answer = handle.request(name, wish, "the end".to_owned()).await;
            self.fate.note(format!("{asked}: {answer:?}"));
        }
    }
}

impl Witness {
    /// I4, when everything is quiet: every key with a nonce is the key of a credential.
    pub(super) fn check_orphans(&self, current: &BTreeSet<KeyId>) {
        for sim in self.provider.keys() {
            if sim.key.nonce().is_some() && !current.contains(&sim.key.id) {
                self.blame("I4", &format!("an orphan is alive: {} {}", sim.key.id, sim.key.name));
            }
        }
    }

    /// I6 and I9, at the end: the audit log is whole, tells of each event once, and of no value.
    pub(super) fn check_audit(&self, records: &[ChainedAct]) {
        let mut checker = Checker::new(None);
        if let Err(fault) = records.iter().try_for_each(|record| checker.check(record)) {
            self.blame("I9", &format!("the audit log is not whole: {fault}"));
        }
        let told = records.iter().filter(|record| record.act.details.contains_key("entry")).count();
        let happened = self.happened();
        if u64::try_from(told).unwrap() != happened {
            self.blame("I9", &format!("of {happened} events the audit log tells {told}"));
        }
        let values: Vec<String> = self.provider.keys().into_iter().map(|sim| sim.value).collect();
        for record in records {
            let text = record.to_json().to_string();
            if values.iter().any(|value| text.contains(value)) {
                self.blame("I6", &format!("the audit log holds a value: {}", record.act.what));
            }
        }
    }
}
