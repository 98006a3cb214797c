//! Feeds `tests/it/fuzz/policy.rs` with what a fuzzer finds.
#![no_main]

#[path = "../../tests/it/fuzz/policy.rs"]
mod policy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| policy::eat(bytes));
