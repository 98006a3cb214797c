//! Probes and commands against real endpoints on loopback and real programs.
#![expect(clippy::unwrap_used, reason = "what stands between tests fails by panicking too")]

mod command;
mod endpoint;
