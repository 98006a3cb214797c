//! The audit log: every other write appends to it in its own transaction.

use async_trait::async_trait;

use crate::domain::audit::{Act, ChainedAct, Head};
use crate::ports::journal::Error;

#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Appends a record that belongs to no other write.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn record(&self, act: &Act) -> Result<(), Error>;

    /// The sequence number and the hash of the last record.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn audit_head(&self) -> Result<Head, Error>;

    /// The records after sequence number `after`, in order, at most `limit`.
    ///
    /// # Errors
    /// `Corrupt` or `Unavailable`.
    async fn audit(&self, after: u64, limit: usize) -> Result<Vec<ChainedAct>, Error>;
}

/// Records that are read at a time.
const PAGE: usize = 5_000;

/// All records of which `keep` says so, in order, read in pages.
///
/// # Errors
/// `Corrupt` or `Unavailable`.
pub async fn records_where(
    log: &(impl AuditLog + ?Sized),
    keep: impl Fn(&Act) -> bool + Send,
) -> Result<Vec<ChainedAct>, Error> {
    let (mut kept, mut after) = (Vec::new(), 0);
    loop {
        let page = log.audit(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(kept) };
        after = last.sequence;
        kept.extend(page.into_iter().filter(|record| keep(&record.act)));
    }
}
