//! Traces: the real program, and a collector on loopback that reads what it is sent with OpenTelemetry's own types.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where it is wrong")]

pub(crate) mod collector;
mod exporting;
mod failing;
mod killed;
mod whole;
