//! The status page: what it says, that nothing in it acts or leaks, and how a browser shows it.

#![expect(clippy::unwrap_used, reason = "a test ends where it is wrong")]

mod accessible;
mod content;
mod looks;
mod past;
mod product;
mod refresh;
mod sight;
