//! The real daemon, a real agent beside every application, and applications that use their keys all the time.
#![expect(clippy::unwrap_used, reason = "what stands between tests fails by panicking too")]

mod failing;
mod harness;
mod killed;
mod straggling;
