//! Where spans are sent to.

use async_trait::async_trait;
use jiff::SignedDuration;

use crate::domain::trace::Span;

/// Why spans were not taken. Fit to be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportError {
    /// They would not be taken later either.
    pub is_final: bool,
    /// How long the collector asked us to wait.
    pub retry_after: Option<SignedDuration>,
    pub why: String,
}

/// Takes spans.
#[async_trait]
pub trait Collector: Send + Sync {
    /// Sends spans, once, within a time limit of its own, and says how many of them the collector refused for good. May
    /// be repeated with the same spans, which are the same by their ids.
    ///
    /// # Errors
    /// None was taken, or it is not known whether any was.
    async fn take(&self, spans: &[Span]) -> Result<usize, ExportError>;
}
