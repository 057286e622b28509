//! The ABI between the BPF programs and user space.
//!
//! One module per signal; the same word names the file in every crate. Structs are `repr(C)`, of
//! fixed-width integers, without implicit padding, and at most 8-byte aligned. Times are
//! nanoseconds of `CLOCK_MONOTONIC` (`bpf_ktime_get_ns`) unless a name says otherwise. What both
//! sides must compute alike is a pure function here.

#![cfg_attr(not(test), no_std)]

pub mod actor;
pub mod blocked;
pub mod control;
pub mod copies;
pub mod discard;
pub mod disk;
pub mod exposure;
pub mod histogram;
pub mod layout;
pub mod loss;
pub mod older;
pub mod owner;
pub mod params;
pub mod place;
pub mod recent;
pub mod record;
pub mod request;
pub mod stack;
pub mod task_io;
pub mod uses;

/// Asserts a struct's size, and with the `user` feature makes it [`aya::Pod`].
macro_rules! abi {
    ($($name:ty: $size:expr),+ $(,)?) => {$(
        const _: () = assert!(size_of::<$name>() == $size);
        const _: () = assert!(align_of::<$name>() <= 8);
        // SAFETY: `repr(C)`, made of integers only, and the size assertion above is the sum of the
        // fields, so there is no padding; every bit pattern is a value.
        #[cfg(feature = "user")]
        unsafe impl aya::Pod for $name {}
    )+};
}
use abi;
