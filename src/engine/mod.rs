//! The engine: carries out what the domain decides, and journals the intent, acts, journals the outcome.
//!
//! ```text
//!  policy                                                        journal
//!    |                                                              ^
//!    v                                                              | commit
//!  Controller --> WorkQueue --> Reconciler --> Effects --> ports    |
//!    ^  one slot    when each     one credential  one call  issuer, |
//!    |  per         is due        as far as it    outside   stores, |
//!    |  credential                goes                      probes  |
//!    |                               |                              |
//!    +------- Action / error --------+------------------------------+
//! ```
//!
//! The [`controller`] owns the state of every credential and queues it. A [`reconciler`] takes one credential, does
//! what is pending as far as it goes without waiting, and returns when to reconcile again. No other code advances a
//! rotation. Each effect is a file in [`effects`]. Recovery after a crash is a reconciliation like any other.

mod accounts;
mod acks;
mod admission;
mod begin;
mod breaker;
mod commands;
mod commit;
mod committed_states;
mod context;
mod controller;
mod effects;
mod emergency;
mod give_up;
mod handle;
mod hold_cache;
mod hurry;
mod inspect;
mod journal_health;
mod left;
mod look;
mod marks;
mod outlook;
mod publishing_turns;
mod reconciler;
mod recoveries;
mod renamed;
mod repair;
mod rivals;
mod rotation_limiter;
mod shared_inventory;
mod shared_state;
mod shared_usage;
mod single_run;
mod sweep;
pub mod ticker;
mod unsaved_findings;
mod waiting_log;
mod waits;
mod work;
mod work_queue;
mod workspace_client;

pub use acks::{AckOutcome, AckRefusal};
pub use commands::Command;
pub use context::{Context, Periods, Timing};
pub use controller::{Controller, ControllerError};
pub use handle::{CommandError, Handle, Heartbeat, LeakReportError, LeakReportOutcome, Looks};
pub use left::ForgetError;
pub use single_run::{SingleRun, SingleRunError};
pub use workspace_client::{BUDGET_PERIOD, WorkspaceClient, WorkspaceHealth};
