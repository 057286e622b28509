//! The versions that have to fit together, in one place.
//!
//! `bpf-linker` reads the bitcode that `rustc` writes, so both must be of the same LLVM.

/// Of Debian's `rustc-web`; a rustup nightly brings its own.
pub(super) const LLVM: u32 = 22;

pub(super) const BPF_LINKER: &str = "0.13.0";

/// Those `bpf-linker` of that version can be built for.
pub(super) const LLVM_KNOWN_TO_LINKER: [u32; 3] = [21, 22, 23];

/// Compiler and lints of the BPF side.
pub(super) const COMPILER: [&str; 4] = [
    "rustc-web",
    "cargo-web",
    "libstd-rust-web-dev-bpf",
    "rust-web-clippy",
];

pub(super) fn linker_name() -> String {
    format!("bpf-linker {BPF_LINKER}")
}

/// What to do where set-up can do nothing.
pub(super) fn advice() -> String {
    format!(
        "no compiler for BPF: install the Debian packages {} as root, or a rustup nightly with rust-src",
        COMPILER.join(" "),
    )
}
