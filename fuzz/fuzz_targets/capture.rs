//! A saved capture, or a report: judged, and shown in every form.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};

fuzz_target!(|bytes: &[u8]| stall_agent::fuzzed::capture(bytes));
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    stall_fuzz::mutate(data, size, max_size, seed)
});
