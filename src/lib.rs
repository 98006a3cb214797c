//! rekeyd rotates ElevenLabs service-account API keys. The modules, in reading order:
//!
//! - [`domain`]: the state machine and every decision; pure.
//! - [`ports`]: the traits of the outside world, with their contracts.
//! - [`engine`]: the controller and reconcilers that execute the decisions.
//! - [`adapters`]: implementations of the ports: ElevenLabs, AWS Secrets Manager, directories, SQLite and others.
//! - [`stores`]: the kinds of store; [`config`]: the policy file, parsed into checked types, built from [`config_file`].
//! - [`telemetry`], [`http`], [`notify`]: logs, metrics and traces; the HTTP interfaces; notifications.
//! - [`app`], [`cli`]: assembly of the daemon; the commands.
//! - [`doctor`], [`draft`]: checks of live dependencies; a first policy.
//! - [`agent`]: the program beside a consumer.
//! - [`sandbox`], [`demo`]: a local ElevenLabs workspace; a demonstration of the real daemon with it.
//! - [`rehearsal`]: the engine in a simulated world, for `plan` and `rehearse`.

pub mod adapters;
pub mod agent;
pub mod app;
mod call;
pub mod call_context;
pub mod cli;
pub mod config;
pub mod config_file;
mod contained;
mod current_read;
pub mod demo;
pub mod doctor;
pub mod domain;
pub mod draft;
pub mod engine;
pub mod http;
mod loopback;
pub mod notify;
mod outgoing;
mod plain_file;
pub mod ports;
mod process_group;
pub mod rehearsal;
pub mod sandbox;
pub mod stores;
mod systemd_notify;
pub mod telemetry;
