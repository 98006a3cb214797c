//! An imagined world in which the real engine is played: its calls are noted instead of made, and time passes at once.
//!
//! [`likeness`] makes a journal's credentials into imagined ones, [`workspace`], [`shelf`] and [`consumers`] are the
//! outside, [`ledger`] notes what is called. [`foresight`] plays one rotation and tells its steps, which is
//! `rekeyd plan`; [`season`] plays a whole policy over many days, which is `rekeyd rehearse`.

pub mod call_log;
pub mod clock;
mod consumers;
mod crash;
pub mod dry_run;
mod shelf;
pub mod simulation;
mod snapshot;
mod workspace;

use std::collections::BTreeMap;

use crate::domain::ids::StoreName;
use crate::ports::store_kind::StoreKind;

/// The policy's stores, by their names.
pub type Stores = BTreeMap<StoreName, &'static StoreKind>;
