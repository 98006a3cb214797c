//! Logs, metrics and traces.
//!
//! [`observation`] gathers the state from the journal and the engine. [`meter`] counts events, with decorators around the
//! ports in [`metered`]. [`samples`] turns both into samples, [`catalogue`] defines every metric, and [`metrics`] renders
//! the text formats. [`logging`] is the log, and [`traces`] has the spans of rotations and calls.

mod catalogue;
mod histogram;
mod journald;
pub mod logging;
pub mod meter;
pub mod metered;
pub mod metrics;
pub mod observation;
mod places;
mod route;
mod samples;
pub mod traces;
