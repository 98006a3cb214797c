//! What several test modules need: servers, suites and committed files.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test ends where it is wrong")]

pub(crate) mod blessed;
pub(crate) mod browser;
pub(crate) mod certificates;
pub(crate) mod endless;
pub(crate) mod instances;
pub(crate) mod moto;
pub(crate) mod promtool;
pub(crate) mod rehearsal;
pub(crate) mod scrape;
pub(crate) mod secrets_manager;
pub(crate) mod served;
pub(crate) mod store_conformance;
pub(crate) mod tampering;
pub(crate) mod wrong_clock;
