//! Who changes the policy, and what operators do to keys in the dashboard.

use std::sync::Arc;

use jiff::SignedDuration;
use rekeyd::domain::ids::{CredentialName, KeyId};
use rekeyd::domain::plan::Destination;
use rekeyd::domain::policy::Credential;
use rekeyd::domain::schedule::Cadence;
use rekeyd::engine::Command;

use super::credentials::credential;
use super::dice::Dice;
use super::play::{Harness, seconds};

impl Harness {
    pub(super) fn start_meddlers(self: &Arc<Self>) -> [tokio::task::JoinHandle<()>; 5] {
        [
            self.start_script(),
            self.start_reloads(),
            self.start_people(),
            self.start_pauser(),
            self.start_inspections(),
        ]
    }

    /// Changes credentials of the policy; in force from the next reload on.
    pub(super) fn revise(&self, change: impl Fn(&mut Credential)) {
        self.policy.lock().unwrap().credentials.values_mut().for_each(change);
    }

    /// What an operator does in the dashboard: enables, disables or, with `None`, deletes.
    pub(super) fn meddle(&self, id: &KeyId, enabled: Option<bool>) {
        // The key may be gone already.
        drop(self.provider.change(|model, now| match enabled {
            Some(true) => model.enable_key(id.as_str(), now),
            Some(false) => model.disable_key(id.as_str(), None, now),
            None => model.delete_key(id.as_str(), now),
        }));
    }

    /// The provider finds the key in public, and disables it.
    pub(super) fn expose(&self, id: &KeyId) {
        let why = Some("exposed_publicly");
        self.provider.change(|model, now| model.disable_key(id.as_str(), why, now)).unwrap();
    }

    /// So many of these events were journalled until now.
    pub(super) fn expect(&self, event: &str, count: u64) {
        let counted = self.witness.count(event);
        if counted != count {
            self.witness.blame("script", &format!("{counted} times {event}, not {count}"));
        }
    }

    /// Somebody asks for something, and does not wait for the answer.
    #[expect(clippy::disallowed_methods, reason = "operators stand outside the engine")]
    pub(super) fn ask(&self, credential: CredentialName, command: Command) {
        let handle = self.handle.lock().unwrap().clone();
        if let Some(handle) = handle {
            tokio::spawn(async move { handle.request(credential, command, "a script".to_owned()).await });
        }
    }

    pub(super) async fn reload(&self) {
        self.fate.note("the policy is reloaded".to_owned());
        let handle = self.handle.lock().unwrap().clone();
        if let Some(handle) = handle {
            drop(handle.reload(self.context(self.fate.life())).await);
        }
    }

    /// What was removed is put back, so that everything can end.
    pub(super) fn restore_policy(&self) {
        for index in 0..self.scenario.credentials {
            let credential = credential(&self.scenario, index);
            let mut policy = self.policy.lock().unwrap();
            if policy.renamed(&credential.name).is_none() {
                policy.credentials.entry(credential.name.clone()).or_insert(credential);
            }
        }
    }

    /// An overlap that waits for evidence may last longer than an interval: nothing new begins any more. And where the
    /// provider shows nothing, somebody has to decide in the end: a time after which nobody can have the old key.
    pub(super) fn calm_down(&self) {
        let Some(proof) = self.scenario.proof else { return };
        self.revise(|credential| {
            credential.schedule.cadence = Cadence::Every(SignedDuration::from_hours(9000));
            if proof.narrowed {
                credential.terms.gates.clear();
                credential.terms.at_least = SignedDuration::from_hours(24);
                credential.terms.at_most = SignedDuration::from_hours(48);
            }
        });
    }

    #[expect(clippy::disallowed_methods, reason = "the script stands outside the engine")]
    pub(super) fn start_script(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let harness = Arc::clone(self);
        tokio::spawn(async move {
            let begun = harness.clock.truth();
            for (after, act) in &harness.scenario.script {
                let due = begun + seconds(*after);
                harness.clock.sleep(due.duration_since(harness.clock.truth())).await;
                harness.fate.note(format!("the script acts at {}", harness.clock.truth()));
                act(&harness);
                harness.reload().await;
            }
        })
    }

    #[expect(clippy::disallowed_methods, reason = "operators stand outside the engine")]
    pub(super) fn start_reloads(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let harness = Arc::clone(self);
        tokio::spawn(async move {
            let mut dice = Dice::new(harness.scenario.seed ^ 0x4E10AD);
            let every = harness.scenario.reloads_every;
            if every == 0 {
                return;
            }
            loop {
                harness.clock.sleep(seconds(1 + dice.below(every * 120))).await;
                match dice.below(4) {
                    0 => harness.revise(|credential| {
                        credential.terms.at_least = SignedDuration::from_mins(14);
                        credential.terms.at_most = SignedDuration::from_mins(90);
                    }),
                    1 => {
                        harness.policy.lock().unwrap().credentials.pop_first();
                    }
                    2 => harness.restore_policy(),
                    _ => harness.revise(add_destination),
                }
                harness.reload().await;
            }
        })
    }

    #[expect(clippy::disallowed_methods, reason = "what wakes the engine stands outside it")]
    pub(super) fn start_inspections(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let harness = Arc::clone(self);
        tokio::spawn(async move {
            let every = harness.scenario.inspects_every;
            if every == 0 {
                return;
            }
            loop {
                harness.clock.sleep(seconds(every * 60)).await;
                let handle = harness.handle.lock().unwrap().clone();
                if let Some(handle) = handle {
                    drop(handle.inspect().await);
                }
            }
        })
    }

    #[expect(clippy::disallowed_methods, reason = "people stand outside the engine")]
    pub(super) fn start_people(self: &Arc<Self>) -> tokio::task::JoinHandle<()> {
        let harness = Arc::clone(self);
        tokio::spawn(async move {
            let mut dice = Dice::new(harness.scenario.seed ^ 0xBEEF);
            let every = harness.scenario.people_every;
            if every == 0 {
                return;
            }
            loop {
                harness.clock.sleep(seconds(1 + dice.below(every * 120))).await;
                let keys = harness.provider.keys();
                let Some(key) = keys.get(usize::try_from(dice.below(keys.len() as u64)).unwrap()) else {
                    continue;
                };
                let enabled =
                    [Some(true), Some(true), Some(false), None][usize::try_from(dice.below(4)).unwrap()];
                harness.fate.note(format!("somebody sets {} to {enabled:?}", key.key.id));
                if enabled != Some(true) {
                    harness.witness.damaged(&key.print);
                }
                harness.meddle(&key.key.id, enabled);
            }
        })
    }
}

pub(super) fn add_destination(credential: &mut Credential) {
    let Some(first) = credential.destinations.first().cloned() else { return };
    let secret = format!("{}-more", first.secret.trim_end_matches("-more"));
    if credential.destinations.iter().all(|destination| destination.secret != secret) {
        credential.destinations.push(Destination { secret, ..first });
    }
}
