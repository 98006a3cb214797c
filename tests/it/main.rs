//! The real program against real servers on loopback. One binary, a module per behaviour.

mod aws;
mod config;
mod directory;
mod docs;
mod elevenlabs;
mod http;
mod journal;
mod sandbox;
mod simulation;
mod state_table;
mod support;
mod tidy;
mod unit_file;
