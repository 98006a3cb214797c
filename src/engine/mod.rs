//! Carries out what the domain decides: journal the intent, act, journal the outcome.
//!
//! The [`keeper`] owns what is known of every credential and says who is visited when. A [`visit`] takes one
//! credential along, does what is pending as far as it goes without waiting, and brings it back; there is no other
//! place where a rotation advances. Each effect is a file in [`effects`]. Recovery is a visit like any other.

mod agenda;
mod begin;
mod board;
mod breaker;
mod commit;
mod desk;
mod effects;
mod emergency;
mod handle;
mod inspect;
mod keeper;
mod listings;
mod orders;
mod repair;
mod restraints;
mod setup;
mod solo;
mod sweep;
mod turns;
mod visit;
pub mod wakes;

pub use desk::{BUDGET_PERIOD, Desk, Reach};
pub use handle::{Handle, LeakAnswer, LeakUnanswered, Pulse, Refused};
pub use keeper::{Keeper, Stopped};
pub use orders::Wish;
pub use setup::{Setup, Timing};
pub use solo::{Halted, Solo};
