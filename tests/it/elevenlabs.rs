//! The ElevenLabs adapter against a scripted server on loopback that answers well, badly, slowly or not at all.

#![expect(clippy::unwrap_used, reason = "what stands between tests fails by panicking too")]

mod api_versions;
mod hostile;
mod listing;
mod pace;
mod refusals;
mod request_log;
mod scripted;
mod secrets;
mod usage;
mod workspace;
