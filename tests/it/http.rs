//! The daemon's HTTP surfaces: a real engine, issuer and provider behind them, and clients in front.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it is wrong")]

mod acknowledging;
mod command;
pub(crate) mod fragile;
mod holding;
pub(crate) mod house;
mod leaks;
mod metrics;
mod ordering;
mod probing;
