//! The BPF programs of stall-agent: one file per signal, `kernel/` the unsafe boundary.
//!
//! Programs are thin entry points over functions that return early. Every map has a bound, and
//! what does not fit is counted in `LOSSES`.

#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the macros give a program its context by value"
)]

mod actor;
mod blocked;
mod control;
mod counter;
mod cpu;
mod d_tasks;
mod discard;
mod disk;
mod exposure;
mod kernel;
mod ktime;
mod loss;
mod owner;
mod params;
mod recent;
mod record;
mod request;
mod series;
mod stack;
mod task_io;
mod uses;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Lets the programs use helpers reserved to GPL-compatible ones.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
