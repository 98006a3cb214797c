//! What the provider shows of use in a simulated world: late, sometimes silent, sometimes narrowed to nothing; and what
//! consumers' endpoints report.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::SignedDuration;
use rekeyd::domain::gate::command::CommandGate;
use rekeyd::domain::gate::probes::Probe;
use rekeyd::ports::prober::{ProbeResponse, Prober};

use super::dice::Dice;
use super::witness::Witness;

/// What makes a world one of evidence, and not of time alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Proof {
    /// How long a consumer may keep a key that it has read, at most: far longer than the overlap's least time.
    pub(super) cache_minutes: u64,
    /// How late use is shown; each use a tenth of it more or less.
    pub(super) delay_minutes: u64,
    /// In so many of a hundred cases a question is not answered.
    pub(super) silent: u64,
    /// The caller sees nothing of others' use, and is not told so.
    pub(super) narrowed: bool,
    /// Listings show how much each key was used.
    pub(super) counters: bool,
    /// Consumers' endpoints are asked too.
    pub(super) probes: bool,
    /// Consumers acknowledge what the store serves, whatever they use.
    pub(super) liars: bool,
    /// The provider is told to let the old key expire.
    pub(super) expires: bool,
}

impl Proof {
    /// The longest that a consumer goes without using its key.
    pub(super) const PAUSE: SignedDuration = SignedDuration::from_mins(4);
    pub(super) const QUIET: SignedDuration = SignedDuration::from_mins(30);

    pub(super) fn plain() -> Self {
        Self {
            cache_minutes: 240,
            delay_minutes: 5,
            silent: 0,
            narrowed: false,
            counters: false,
            probes: false,
            liars: false,
            expires: false,
        }
    }

    pub(super) fn by_chance(dice: &mut Dice) -> Self {
        Self {
            cache_minutes: 1 + dice.below(400),
            delay_minutes: dice.below(40),
            silent: [0, 0, 20][usize::try_from(dice.below(3)).unwrap()],
            narrowed: dice.chance(15),
            counters: dice.chance(30),
            probes: dice.chance(30),
            liars: dice.chance(30),
            expires: dice.chance(50),
        }
    }
}

/// Consumers' endpoints: each reports what the consumer of a place holds.
pub(super) struct Endpoints {
    pub(super) witness: Arc<Witness>,
    pub(super) dice: Mutex<Dice>,
}

#[async_trait]
impl Prober for Endpoints {
    async fn probe(&self, probe: &Probe) -> Vec<ProbeResponse> {
        let place: usize = probe.name.trim_start_matches("place-").parse().unwrap();
        let lost = self.dice.lock().unwrap().chance(2);
        let held = self.witness.held(place).map(|print| print.to_string());
        let text =
            if lost { Err("no answer".to_owned()) } else { held.ok_or_else(|| "it has no key".to_owned()) };
        vec![ProbeResponse { address: "127.0.0.1".to_owned(), text }]
    }

    async fn run(&self, _gate: &CommandGate, _about: &BTreeMap<String, String>) -> Result<(), String> {
        Ok(())
    }
}
