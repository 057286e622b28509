//! What `/proc`, `/etc` and files of others say.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stall_agent::fuzzed::proc(bytes));
