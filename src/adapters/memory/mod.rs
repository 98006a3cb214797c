//! The journal port in memory: what the simulation runs on.

pub mod journal;
