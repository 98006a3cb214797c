//! rekeyd keeps ElevenLabs service-account API keys fresh.
//!
//! Read in this order: [`domain`] decides and is pure, [`ports`] says what the outside owes us,
//! [`engine`] carries decisions out, [`adapters`] talk to the outside, [`config`] turns the policy file into
//! checked types, [`app`] puts all of it together, and [`cli`] is what a person types.
//! [`notify`] tells people what needs them.
//! [`doctor`] looks at everything that a policy needs, [`draft`] writes a first one.
//! [`agent`] runs beside a consumer. [`sandbox`] is an ElevenLabs workspace that runs here, and [`demo`] plays a rehearsal with it and the real daemon,
//! for people and for the tests. [`rehearsal`] is an imagined world in which the engine is played: what would happen.

pub mod adapters;
pub mod agent;
pub mod app;
mod call;
pub mod call_context;
pub mod cli;
pub mod config;
pub mod config_file;
pub mod demo;
pub mod doctor;
pub mod domain;
pub mod draft;
pub mod engine;
pub mod http;
mod loopback;
pub mod notify;
mod plain_file;
pub mod ports;
pub mod rehearsal;
pub mod sandbox;
pub mod stores;
pub mod telemetry;
