//! Feeds `tests/it/fuzz/http.rs` with the fuzzer's input.
#![no_main]

#[path = "../../tests/it/fuzz/http.rs"]
mod http;
#[path = "../../tests/it/fuzz/waiting.rs"]
mod waiting;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http::eat(bytes));
