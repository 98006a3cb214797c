//! What the program tells about itself: its log, and what is observed of it for metrics and readiness.
//!
//! [`observation`] gathers from the journal and the engine, [`meter`] counts what happens in between, with the decorators
//! of [`metered`] around the ports. [`samples`] turns both into numbers, [`catalogue`] is the list of every metric, and
//! [`metrics`] are its text forms. [`logging`] is the log, and [`traces`] are what is told of rotations and calls as spans.

mod catalogue;
mod histogram;
mod journald;
pub mod logging;
pub mod meter;
pub mod metered;
pub mod metrics;
pub mod observation;
mod samples;
pub mod traces;
