//! Builds the BPF programs.
//!
//! In: `.toolchain/bpf`, written by `cargo xtask setup`. Out: `$OUT_DIR/stall-agent-ebpf`, the BPF
//! object to embed without its DWARF.
//! What the outer cargo sets for its own compiler is kept away from the compiler of the BPF side.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, Command};

type Result<T> = std::result::Result<T, String>;

const PACKAGE: &str = "stall-agent-ebpf";
const TARGET: &str = "bpfel-unknown-none";

/// Set by cargo, clippy or rustup for the host's compiler; wrong for the other one.
const LEAKS: [&str; 11] = [
    "CARGO_BUILD_RUSTC",
    "CARGO_BUILD_TARGET",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "CLIPPY_ARGS",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTC_LINKER",
    "RUSTDOC",
    "RUSTFLAGS",
    "RUSTUP_TOOLCHAIN",
];

/// What the programs depend on, seen from the workspace.
const INPUTS: [&str; 7] = [
    ".cargo/config.toml",
    ".toolchain/bpf",
    "Cargo.lock",
    "Cargo.toml",
    "stall-agent-ebpf",
    "stall-agent/programs/build.rs",
    "stall-common",
];

/// `cargo::error` fails the build by itself, and shows only what it says.
fn main() {
    if let Err(message) = run() {
        println!("cargo::error={message}");
    }
}

fn run() -> Result<()> {
    let workspace = workspace()?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    for input in INPUTS {
        println!(
            "cargo::rerun-if-changed={}",
            workspace.join(input).display()
        );
    }
    let toolchain = Toolchain::read(&workspace.join(".toolchain/bpf"))?;
    let target_dir = target_dir(&out);
    build(&workspace, &toolchain, &target_dir)?;
    embed(
        &target_dir.join(TARGET).join("release").join(PACKAGE),
        &out.join(PACKAGE),
    )
}

fn workspace() -> Result<PathBuf> {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = package.ancestors().nth(2);
    let root = root.ok_or("the package has no workspace around it")?;
    Ok(root.to_path_buf())
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| format!("cargo sets {name}, but: {error}"))
}

/// The compiler and linker of the BPF side.
struct Toolchain {
    cargo: String,
    rustc: String,
    linker: PathBuf,
    build_std: bool,
}

impl Toolchain {
    fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).map_err(|error| {
            format!(
                "no BPF toolchain ({}: {error}): run cargo xtask setup",
                file.display()
            )
        })?;
        let values: HashMap<_, _> = text
            .lines()
            .filter_map(|line| line.split_once('='))
            .collect();
        let toolchain = Self::from_values(&values)
            .ok_or_else(|| format!("{} is incomplete: run cargo xtask setup", file.display()))?;
        toolchain.check_present()?;
        Ok(toolchain)
    }

    fn from_values(values: &HashMap<&str, &str>) -> Option<Self> {
        Some(Self {
            cargo: (*values.get("CARGO")?).to_owned(),
            rustc: (*values.get("RUSTC")?).to_owned(),
            linker: Path::new(values.get("LINKER_DIR")?).join("bpf-linker"),
            build_std: *values.get("BUILD_STD")? == "1",
        })
    }

    fn check_present(&self) -> Result<()> {
        let parts = [Path::new(&self.cargo), Path::new(&self.rustc), &self.linker];
        match parts.iter().find(|part| !part.exists()) {
            Some(gone) => Err(format!(
                "{} has gone: run cargo xtask setup",
                gone.display()
            )),
            None => Ok(()),
        }
    }
}

/// One directory for every profile, so that clippy, tests and release share one build of the programs.
fn target_dir(out: &Path) -> PathBuf {
    let root = out
        .ancestors()
        .find(|dir| dir.join("CACHEDIR.TAG").exists());
    root.unwrap_or(out).join("bpf")
}

fn build(workspace: &Path, toolchain: &Toolchain, target_dir: &Path) -> Result<()> {
    let mut command = Command::new(&toolchain.cargo);
    command
        .current_dir(workspace)
        .args(["build", "--release", "--locked"]);
    command
        .args(["--package", PACKAGE, "--target", TARGET])
        .arg("--target-dir")
        .arg(target_dir)
        .args(["--config", &remapped(workspace)]);
    if toolchain.build_std {
        command.arg("-Zbuild-std=core");
    }
    set_environment(&mut command, toolchain);
    let status = command
        .status()
        .map_err(|error| format!("{}: {error}", toolchain.cargo))?;
    if !status.success() {
        println!("cargo::error=the BPF programs do not build; the compiler says why at the end");
        // Only then does cargo show what the compiler said.
        process::exit(1);
    }
    Ok(())
}

/// Names where the sources are alike on every machine, as BTF and DWARF keep these names. The workspace
/// is `.`, so that the linker still finds the lines of source that the verifier shows.
fn remapped(workspace: &Path) -> String {
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let cargo = env::var_os("CARGO_HOME").map(PathBuf::from).or(home);
    let cargo = cargo.unwrap_or_else(|| "/nonexistent".into());
    let flags = [(workspace, "."), (&cargo, "/cargo")].map(|(from, to)| {
        format!(
            "{:?}",
            format!("--remap-path-prefix={}={to}", from.display())
        )
    });
    format!("target.{TARGET}.rustflags=[{}]", flags.join(","))
}

fn set_environment(command: &mut Command, toolchain: &Toolchain) {
    for name in LEAKS {
        command.env_remove(name);
    }
    command
        .env("RUSTC", &toolchain.rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC_WRAPPER", "")
        .env("RUSTC_WORKSPACE_WRAPPER", "")
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &toolchain.linker);
}

/// Leaves out the DWARF, nine tenths of the object: the kernel reads BTF, and nobody looks at the rest.
fn embed(object: &Path, to: &Path) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", object.display());
    let bytes = fs::read(object).map_err(|error| failed(&error))?;
    let bytes = without_dwarf(&bytes).map_err(|error| failed(&error))?;
    fs::write(to, bytes).map_err(|error| format!("{}: {error}", to.display()))
}

fn without_dwarf(bytes: &[u8]) -> object::build::Result<Vec<u8>> {
    let mut builder = object::build::elf::Builder::read(bytes)?;
    for section in &mut builder.sections {
        let name = section.name.as_slice();
        section.delete = name.starts_with(b".debug") || name.starts_with(b".rel.debug");
    }
    builder.delete_orphans();
    // LLVM keeps the sections' names with those of the symbols, this crate does not.
    let names = builder.sections.add();
    names.name = b".shstrtab".as_slice().into();
    names.sh_type = object::elf::SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = object::build::elf::SectionData::SectionString;
    let mut out = Vec::new();
    builder.write(&mut out)?;
    Ok(out)
}
