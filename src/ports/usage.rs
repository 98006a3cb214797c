//! The usage port: the provider's evidence of the use of keys.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::domain::failure::Failure;
use crate::domain::key::Key;
use crate::domain::secret::SecretValue;
use crate::domain::usage::Reading;

/// The evidence of use that one workspace provides.
#[async_trait]
pub trait UsageSource: Send + Sync {
    /// Reads the use of the keys that are to go and of those that stay, since `since`, from every source of the workspace: one reading per source, in the order of
    /// [`crate::domain::usage::Source`]. A source that is missing, not permitted, or does not distinguish keys reports
    /// that in its reading; one that cannot tell the use of one key reports that for the key. Who used a key that is to go
    /// is named as far as the provider names it. Changes nothing, uses none of the keys, and may be repeated.
    async fn usage(&self, leaving: &[Key], staying: &[Key], since: Timestamp) -> Vec<Reading>;

    /// Makes one small billed call with `value`, which therefore shows in the evidence: speech from one character, in
    /// the voice `voice`. Only for a new key, and only where the policy configures it.
    ///
    /// # Errors
    /// By certainty: `Unknown` may have been billed.
    async fn canary(&self, value: &SecretValue, voice: &str) -> Result<(), Failure>;
}
