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

/// What building `bpf-linker` for that LLVM takes.
pub(super) fn linker_packages(llvm: u32) -> [String; 4] {
    let named = [format!("llvm-{llvm}-dev"), format!("libpolly-{llvm}-dev")];
    let [llvm, polly] = named;
    [
        llvm,
        polly,
        "zlib1g-dev".to_owned(),
        "libzstd-dev".to_owned(),
    ]
}

pub(super) fn linker_name() -> String {
    format!("bpf-linker {BPF_LINKER}")
}

/// What to do where set-up can do nothing.
pub(super) fn advice() -> String {
    format!(
        "no compiler for BPF: install the Debian packages {} {} as root, or a rustup nightly with rust-src \
         and {} for its LLVM",
        COMPILER.join(" "),
        linker_packages(LLVM).join(" "),
        linker_name()
    )
}
