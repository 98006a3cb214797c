//! The prober port: checks consumers' endpoints, and runs an operator's programs, about a switch to a new key.

use std::collections::BTreeMap;

use async_trait::async_trait;
use zeroize::Zeroize;

use crate::domain::gate::command::CommandGate;
use crate::domain::gate::probes::Probe;

/// The response of one address: the text that the probe selects, or why there is none. The text may be the key itself:
/// it may only be compared, and is wiped afterwards.
pub struct ProbeResponse {
    pub address: String,
    pub text: Result<String, String>,
}

impl Drop for ProbeResponse {
    fn drop(&mut self) {
        if let Ok(text) = &mut self.text {
            text.zeroize();
        }
    }
}

/// Checks. Nothing here changes rekeyd's own state; what a command does is its owner's responsibility.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Requests the probe's endpoint once: every address of its name if the probe says so, directly and at the same time.
    /// Ends within a few seconds, whatever the endpoint does; redirects are not followed. Empty if the name has no
    /// address. Repeatable, and cancel-safe.
    async fn probe(&self, probe: &Probe) -> Vec<ProbeResponse>;

    /// Runs the command with nothing in its environment but `about`, `PATH` and `LANG`, no input, and its output thrown
    /// away. `Ok` if it exits with 0 within its time limit; otherwise how it ended, in one line. Everything
    /// that it started is killed when its time is up or the call is cancelled, and what is left of it when it has ended.
    ///
    /// # Errors
    /// It exited with another code, or could not be run.
    async fn run(&self, gate: &CommandGate, about: &BTreeMap<String, String>) -> Result<(), String>;
}
