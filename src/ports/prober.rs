//! Asks consumers' endpoints, and programs of the operator's, about a switch to a new key.

use std::collections::BTreeMap;

use async_trait::async_trait;

use zeroize::Zeroize;

use crate::domain::gate::probe::{CommandGate, Probe};

/// What one address answered: the text at the probe's place, or why there is none, in words of ours. The text is not
/// known to be harmless, it may be the key itself: it may only be compared, and is wiped afterwards.
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

/// Asks. Nothing here changes anything of ours; what a command does is its owner's business.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Asks the probe's endpoint once, every address behind its name if the probe says so, directly and at the same
    /// time. Done within a few seconds, whatever the endpoint does; redirects are not followed. Empty if the name has
    /// no address. Repeatable, and cancel-safe.
    async fn probe(&self, probe: &Probe) -> Vec<ProbeResponse>;

    /// Runs the command with nothing in its environment but `about`, `PATH` and `LANG`, no input, and its output thrown
    /// away. `Ok` if it exits with 0 within its time limit; otherwise how it ended, in a line. It is killed, with
    /// what it started in its process group, when its time is up or the call is cancelled; what it leaves behind is
    /// killed when it has ended.
    ///
    /// # Errors
    /// It did not agree, or could not be asked.
    async fn run(&self, gate: &CommandGate, about: &BTreeMap<String, String>) -> Result<(), String>;
}
