//! The journal's contract, run by every adapter; and what SQLite owes beyond it: durability, one process at a time,
//! and clear words about a disk or a file that cannot be used.
#![expect(clippy::unwrap_used, reason = "tests and what they share fail by panicking")]

mod audit;
mod contract;
mod crash;
mod damage;
mod disk;
mod held_back;
mod looking;
mod opening;
mod samples;
mod status;
mod why;
