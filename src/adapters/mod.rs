//! One folder per outside system. Adapters never see each other, nor the engine.

pub mod aws_secrets_manager;
pub mod clock;
pub mod directory;
pub mod elevenlabs;
pub mod memory;
pub mod sqlite;
