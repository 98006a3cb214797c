//! The real program against real servers on loopback. One binary, a module per behaviour.

mod admin_key;
mod agent;
mod aws;
mod aws_rotation;
mod canary;
mod config;
mod decisions;
mod directory;
mod docs;
mod elevenlabs;
mod elevenlabs_sandbox;
mod engine_sandbox;
mod fleet;
mod http;
mod journal;
mod kill;
mod mutations;
mod pause;
mod prober;
mod sandbox;
mod signals;
mod simulation;
mod state_table;
mod support;
mod tidy;
mod unit_file;
