//! Where the use of keys is to be seen: what the provider shows of it.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::failure::Failure;
use crate::domain::key::Key;
use crate::domain::secret::SecretValue;
use crate::domain::usage::Reading;

/// The evidence of use that one workspace offers.
#[async_trait]
pub trait UsageSource: Send + Sync {
    /// Asks every source that the workspace has about `keys` from `since` on: one reading per source, in the order of
    /// [`crate::domain::usage::Source`]. A source that is not there, not permitted, or does not tell keys apart says
    /// so in its reading. Who uses the first of `keys` is told as far as the provider tells it. Changes nothing, uses none of the keys, and may be repeated.
    async fn usage(&self, keys: &[Key], since: Timestamp) -> Vec<Reading>;

    /// Makes one small call with `value` that is billed and therefore shows in the evidence: speech from one
    /// character, in the voice `voice`. Only ever for a new key, and only where the policy asks for it.
    ///
    /// # Errors
    /// By certainty: `Unknown` may have been billed.
    async fn canary(&self, value: &SecretValue, voice: &str) -> Result<(), Failure>;
}
