//! Puts the parts together: the only place that names adapters.

pub mod assembly;
pub mod daemon;
mod notify;
mod reload;
