//! The journal and secret store ports in memory: what the simulation runs on.

pub mod journal;
pub mod outbox;
pub mod store;
