//! Imagined consumers: each switches to what its destination serves after a while, acknowledges it, and is healthy.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::adapters::memory::store::MemoryStore;
use crate::adapters::secret_text;
use crate::domain::ack::{Ack, Health};
use crate::domain::gate::EvidenceNeed;
use crate::domain::gate::command::CommandGate;
use crate::domain::gate::probes::Probe;
use crate::domain::ids::{ConsumerName, CredentialName, StoreName};
use crate::domain::plan::Destination;
use crate::domain::policy::{Credential, Policy};
use crate::domain::secret::Fingerprint;
use crate::domain::time::later;
use crate::ports::clock::Clock as _;
use crate::ports::prober::{ProbeResponse, Prober};
use crate::rehearsal::hooks::Recorder;
use crate::rehearsal::store::Store;
use crate::rehearsal::workspace::Workspace;

/// How often a consumer repeats its acknowledgement during a rotation. Nothing depends on one between rotations.
const SAYS_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// When a consumer takes up what is new; `None` is never.
pub(super) type Lag = Option<SignedDuration>;

struct Consumer {
    credential: CredentialName,
    /// Without a name it is asked and seen, and does not speak.
    name: Option<ConsumerName>,
    destination: Destination,
    lag: Lag,
    /// What the destination serves, and since when it was seen there.
    served: Option<(Fingerprint, Timestamp)>,
    held: Option<(Fingerprint, Timestamp)>,
    said: Option<Timestamp>,
}

/// A consumer that holds a key which the provider refuses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Harmed {
    pub(super) credential: CredentialName,
    pub(super) consumer: String,
    pub(super) at: Timestamp,
}

pub(super) struct Consumers {
    recorder: Recorder,
    stores: BTreeMap<StoreName, Arc<Store>>,
    workspaces: BTreeMap<CredentialName, Arc<Workspace>>,
    probes: Vec<(CredentialName, Probe)>,
    all: Mutex<Vec<Consumer>>,
}

impl Consumers {
    /// Those that the policy waits for, and one without a name for each credential that waits for none.
    pub(super) fn of(
        policy: &Policy,
        lag_of: impl Fn(Option<&ConsumerName>) -> Lag,
        recorder: Recorder,
        stores: BTreeMap<StoreName, Arc<Store>>,
        workspaces: BTreeMap<CredentialName, Arc<Workspace>>,
    ) -> Self {
        let mut all = Vec::new();
        let mut probes = Vec::new();
        for credential in policy.credentials.values() {
            let Some(destination) = credential.destinations.first() else { continue };
            for name in names(credential) {
                all.push(Consumer {
                    credential: credential.name.clone(),
                    lag: lag_of(name.as_ref()),
                    name,
                    destination: destination.clone(),
                    served: None,
                    held: None,
                    said: None,
                });
            }
            for gate in &credential.terms.gates {
                if let EvidenceNeed::Probes(of) = gate.needs() {
                    probes.extend(of.iter().map(|probe| (credential.name.clone(), probe.clone())));
                }
            }
        }
        Self { recorder, stores, workspaces, probes, all: Mutex::new(all) }
    }

    /// Everybody begins with what is served, as if it had been so for long.
    pub(super) fn settle(&self) {
        let now = self.recorder.clock.now();
        for consumer in self.all().iter_mut() {
            consumer.served = self.served(&consumer.destination).map(|print| (print, now));
            consumer.held.clone_from(&consumer.served);
            self.uses(consumer);
        }
    }

    /// Lets each consumer do what is due. Returns what they acknowledge, and when the next of them acts.
    pub(super) fn look(
        &self,
        is_rotating: impl Fn(&CredentialName) -> bool,
    ) -> (Vec<(CredentialName, Ack)>, Option<Timestamp>) {
        let now = self.recorder.clock.now();
        let (mut acks, mut next) = (Vec::new(), None::<Timestamp>);
        for consumer in self.all().iter_mut() {
            if let Some(print) = self.served(&consumer.destination)
                && consumer.served.as_ref().is_none_or(|(known, _)| *known != print)
            {
                consumer.served = Some((print, now));
            }
            if let (Some((print, since)), Some(lag)) = (consumer.served.clone(), consumer.lag)
                && consumer.held.as_ref().is_none_or(|(held, _)| *held != print)
            {
                let at = later(since, lag);
                if at <= now {
                    consumer.held = Some((print, now));
                    consumer.said = None;
                    self.uses(consumer);
                } else {
                    next = next.into_iter().chain([at]).min();
                }
            }
            acks.extend(says(consumer, now, is_rotating(&consumer.credential)));
        }
        (acks, next)
    }

    /// Those that hold a key which is not accepted now.
    pub(super) fn harmed(&self) -> Vec<Harmed> {
        let at = self.recorder.clock.now();
        let all = self.all();
        let harmed = all.iter().filter(|consumer| {
            let workspace = self.workspaces.get(&consumer.credential);
            let held = consumer.held.as_ref().zip(workspace);
            held.is_some_and(|((print, _), workspace)| !workspace.accepts(print))
        });
        harmed
            .map(|consumer| Harmed {
                credential: consumer.credential.clone(),
                consumer: consumer.name.as_ref().map_or_else(|| "a consumer".to_owned(), ToString::to_string),
                at,
            })
            .collect()
    }

    fn uses(&self, consumer: &Consumer) {
        if let (Some((print, _)), Some(workspace)) =
            (&consumer.held, self.workspaces.get(&consumer.credential))
        {
            workspace.switch_use(print);
        }
    }

    fn served(&self, destination: &Destination) -> Option<Fingerprint> {
        let store = self.stores.get(&destination.store)?;
        served(&store.memory, destination)
    }

    fn all(&self) -> MutexGuard<'_, Vec<Consumer>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn served(memory: &MemoryStore, destination: &Destination) -> Option<Fingerprint> {
    let text = memory.text(&destination.secret)?;
    secret_text::extract(destination, &text).map(|value| value.fingerprint())
}

fn names(credential: &Credential) -> Vec<Option<ConsumerName>> {
    let names: Vec<Option<ConsumerName>> = credential.terms.consumers().cloned().map(Some).collect();
    if names.is_empty() { vec![None] } else { names }
}

/// One that never takes anything up never speaks either.
fn says(consumer: &mut Consumer, now: Timestamp, is_rotating: bool) -> Option<(CredentialName, Ack)> {
    let (name, (print, since)) = (consumer.name.clone()?, consumer.held.clone()?);
    consumer.lag?;
    if consumer.said.is_some_and(|said| !is_rotating || now.duration_since(said) < SAYS_AGAIN) {
        return None;
    }
    consumer.said = Some(now);
    let ack = Ack { consumer: name, fingerprint: print, health: Health::Using, since, at: now };
    Some((consumer.credential.clone(), ack))
}

#[async_trait]
impl Prober for Consumers {
    async fn probe(&self, probe: &Probe) -> Vec<ProbeResponse> {
        self.recorder.log.consumed(self.recorder.clock.now(), format!("probe `{}`", probe.name));
        let credential = self.probes.iter().find(|(_, known)| known == probe).map(|(name, _)| name);
        let all = self.all();
        let asked = all.iter().filter(|consumer| Some(&consumer.credential) == credential);
        asked
            .map(|consumer| ProbeResponse {
                address: consumer.name.as_ref().map_or_else(|| "imagined".to_owned(), ToString::to_string),
                text: match &consumer.held {
                    Some((print, _)) => Ok(print.to_string()),
                    None => Err("it has no key".to_owned()),
                },
            })
            .collect()
    }

    async fn run(&self, gate: &CommandGate, _: &BTreeMap<String, String>) -> Result<(), String> {
        let program = gate.command.first().map_or("the command", String::as_str);
        self.recorder.log.consumed(self.recorder.clock.now(), format!("run `{program}`"));
        Ok(())
    }
}
