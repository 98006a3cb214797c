//! The engine in virtual time: every crash point, every lost reply, thousands of seeds; I1 to I7 are checked throughout.
#![expect(clippy::unwrap_used, reason = "a simulation fails by panicking")]

mod by_hand;
mod chronicle;
mod crash_matrix;
mod credentials;
mod dice;
mod evidence;
mod fate;
mod held;
mod late_stores;
mod life;
mod meddlers;
mod meddling;
mod owners;
mod play;
mod proof;
mod rest;
mod restrained;
mod restraint;
mod seeds;
mod society;
mod throttled;
mod two_daemons;
mod watching;
mod witness;
