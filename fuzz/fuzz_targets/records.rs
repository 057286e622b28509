//! Records of the ring and of the task iterator.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stall_agent::fuzzed::records(bytes));
