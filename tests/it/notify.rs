//! Notifications: the real program, a sandbox that refuses a key, and receivers on loopback.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it is wrong")]

mod command;
mod failing;
mod harness;
mod killed;
mod outbox;
pub(crate) mod receiver;
mod snippet;
mod storm;
mod told;
