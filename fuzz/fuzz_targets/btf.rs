//! The kernel's type information.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| stall_agent::fuzzed::btf(bytes));
