//! Feeds `tests/it/fuzz/store.rs` with the fuzzer's input.
#![no_main]

#[path = "../../tests/it/fuzz/speaker.rs"]
mod speaker;
#[path = "../../tests/it/fuzz/store.rs"]
mod store;
#[path = "../../tests/it/fuzz/waiting.rs"]
mod waiting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| store::eat(bytes));
