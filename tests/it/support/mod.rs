//! What several test modules need: servers and suites.

pub(crate) mod moto;
pub(crate) mod secrets_manager;
pub(crate) mod store_conformance;
