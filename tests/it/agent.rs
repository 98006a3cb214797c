//! The agent, as the real program: what the application finds, how it is told, and what rekeyd hears.
#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod aws;
mod daemon;
mod documents;
mod early;
mod encrypted;
mod exec;
mod following;
mod frugal;
pub(crate) mod harness;
mod health;
mod killed;
mod recorder;
mod telling;
