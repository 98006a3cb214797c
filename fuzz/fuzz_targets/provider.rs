//! Feeds `tests/it/fuzz/provider.rs` with the fuzzer's input.
#![no_main]

#[path = "../../tests/it/fuzz/provider.rs"]
mod provider;
#[path = "../../tests/it/fuzz/speaker.rs"]
mod speaker;
#[path = "../../tests/it/fuzz/waiting.rs"]
mod waiting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| provider::eat(bytes));
