//! The daemon's HTTP surfaces: a real engine, issuer and provider behind them, and clients in front.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it is wrong")]

mod acknowledging;
mod bulk;
mod command;
mod described;
mod encrypted;
pub(crate) mod fragile;
pub(crate) mod harness;
mod holding;
mod hostile;
mod leaks;
mod metrics;
mod ordering;
mod probing;
mod reading;
