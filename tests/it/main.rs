//! The real program against real servers on loopback. One binary, a module per behaviour.

mod aws;
mod canary;
mod config;
mod directory;
mod elevenlabs;
mod elevenlabs_sandbox;
mod engine_sandbox;
mod journal;
mod kill;
mod sandbox;
mod signals;
mod simulation;
mod state_table;
mod support;
