//! Carries out what the domain decides: journal the intent, act, journal the outcome.
//!
//! The [`controller`] owns what is known of every credential and says who is visited when. A [`visit`] takes one
//! credential along, does what is pending as far as it goes without waiting, and brings it back; there is no other
//! place where a rotation advances. Each effect is a file in [`effects`]. Recovery is a visit like any other.

mod admission;
mod begin;
mod breaker;
mod commands;
mod commit;
mod context;
mod controller;
mod effects;
mod emergency;
mod handle;
mod hold_cache;
mod inspect;
mod reconciler;
mod repair;
mod rotation_limiter;
mod shared_inventory;
mod single_run;
mod sweep;
pub mod ticker;
mod work_queue;
mod workspace_client;

pub use commands::Command;
pub use context::{Context, Timing};
pub use controller::{Controller, Stopped};
pub use handle::{CommandError, Handle, Heartbeat, LeakReportError, LeakReportOutcome};
pub use single_run::{SingleRun, SingleRunError};
pub use workspace_client::{BUDGET_PERIOD, WorkspaceClient, WorkspaceHealth};
