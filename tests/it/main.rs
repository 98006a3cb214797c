//! The real program against real servers on loopback. One binary, a module per behaviour.
#![expect(clippy::unwrap_used, reason = "test helpers fail by panicking")]
#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one thing among many")]

mod aws;
mod config;
mod directory;
mod elevenlabs;
mod journal;
mod sandbox;
mod simulation;
mod state_table;
mod support;
