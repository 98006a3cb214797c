//! The issuer port over the ElevenLabs API.
