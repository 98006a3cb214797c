//! One folder per outside system. Adapters never see each other, nor the engine; what secret stores have in common
//! is the text of a secret ([`secret_text`], [`json_field`]), which is pure.

pub mod aws_secrets_manager;
pub mod clock;
pub mod directory;
pub mod elevenlabs;
pub mod endpoint;
pub mod file_system;
mod json_field;
pub mod memory;
pub mod otlp;
mod post;
pub mod prober;
pub(crate) mod secret_text;
pub mod sqlite;
pub mod webhook;
