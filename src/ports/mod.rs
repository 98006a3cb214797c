//! What rekeyd needs from the outside, in its own words: one small trait with its contract per file.
//!
//! Every failure of an outside system is a [`crate::domain::failure::Failure`]: `Rejected` (it certainly did not
//! happen) or `Unknown` (it may have happened: read back before anything else).

pub mod access_policy;
pub mod clock;
pub mod collector;
pub mod followed;
pub mod issuer;
pub mod journal;
pub mod meter;
pub mod notifier;
pub mod outbox;
pub mod prober;
pub mod secret_store;
pub mod store_kind;
pub mod usage;
pub mod workspace_log;
