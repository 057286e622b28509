//! What may be typed.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stall_agent::fuzzed::command_line(bytes));
