//! Feeds `tests/it/fuzz/policy.rs` with the fuzzer's input.
#![no_main]

#[path = "../../tests/it/fuzz/policy.rs"]
mod policy;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| policy::eat(bytes));
