//! Feeds `tests/it/fuzz/journal.rs` with the fuzzer's input.
#![no_main]

#[path = "../../tests/it/fuzz/journal.rs"]
mod journal;
#[path = "../../tests/it/fuzz/waiting.rs"]
mod waiting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| journal::eat(bytes));
