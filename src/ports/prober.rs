//! Asks consumers' endpoints, and programs of the operator's, about a switch to a new key.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::domain::gate::probe::{CommandGate, Probe};

/// What one address answered: the text at the probe's place, or why there is none. The text is not yet known to be
/// harmless: it may only be compared.
pub struct Answer {
    pub address: String,
    pub text: Result<String, String>,
}

/// Asks. Nothing here changes anything of ours; what a command does is its owner's business.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Asks the probe's endpoint once, every address behind its name if the probe says so. Time-limited; redirects
    /// are not followed. Empty if the name has no address. Repeatable.
    async fn probe(&self, probe: &Probe) -> Vec<Answer>;

    /// Runs the command with nothing in its environment but `about`, `PATH` and `LANG`, no input, and its output thrown
    /// away. `Ok` if it exits with 0 within its time limit; otherwise how it ended, in a line. It is killed, with
    /// what it started, when its time is up or the call is cancelled.
    ///
    /// # Errors
    /// It did not agree, or could not be asked.
    async fn run(&self, gate: &CommandGate, about: &BTreeMap<String, String>) -> Result<(), String>;
}
