//! What the program tells about itself: its log, and what is observed of it for metrics and readiness.
//!
//! [`observation`] gathers from the journal and the engine, [`samples`] turns that into numbers, and [`metrics`] is
//! the list of every metric and its text forms. [`logging`] is the log.

mod journald;
pub mod logging;
pub mod metrics;
pub mod observation;
mod samples;
