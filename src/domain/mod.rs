//! Decisions as pure functions over data: no async, no input or output, no clock, no logging.
//!
//! A [`rotation::Rotation`] is folded from its journalled [`event::Event`]s. [`step`] decides which state an event leads
//! to, and [`effect::pending`] which effect comes next, live and after a crash alike. [`phase`] has one row per phase.

pub mod acceptance;
pub mod account_creation;
pub mod ack;
pub mod adoption;
pub mod audit;
pub mod backoff;
pub mod breaker;
pub mod dead_man;
pub mod effect;
pub mod emergency;
pub mod event;
pub mod examination;
pub mod failure;
pub mod finding;
pub mod gate;
pub mod hold;
pub mod ids;
pub mod inspection;

pub mod key;
pub mod last_use;
pub mod left;
pub mod links;
pub mod mint_budget;
pub mod notification;
pub mod obstacle;
pub mod phase;
pub mod place;
pub mod plan;
pub mod policy;
pub mod record;
pub mod rename;
pub mod replay;
pub mod report;
pub mod rotation;
pub mod sanitize;
pub mod schedule;
pub mod secret;
pub mod sharing;
pub mod step;
pub mod successor;
pub mod time;
pub mod trace;
pub mod usage;
pub mod waves;
pub mod written_instant;
