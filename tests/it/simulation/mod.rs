//! The engine in virtual time: every crash point, every lost reply, thousands of seeds; I1 to I7 are checked throughout.

mod chronicle;
mod clock;
mod crash_matrix;
mod dice;
mod fate;
mod play;
mod provider;
mod seeds;
mod shelf;
mod witness;
