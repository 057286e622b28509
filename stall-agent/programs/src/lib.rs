//! The BPF programs as one object, built by `build.rs` for their own target. A crate of its own, so that a change of the
//! agent does not build them again.

/// The object, without its DWARF, aligned as the loader wants it.
pub static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/stall-agent-ebpf"));
