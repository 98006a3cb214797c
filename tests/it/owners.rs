//! One place, one owner, in the real program.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;
mod left;
mod one_secret;
mod renamed;
mod two_daemons;
