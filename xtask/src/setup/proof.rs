//! Proof that a compiler and a linker fit: they build the smallest BPF program.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::say::say;
use crate::process;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

const MANIFEST: &str = r#"[package]
name = "proof"
edition = "2024"

[workspace]
"#;

const PROGRAM: &str = r#"#![no_std]
#![no_main]

#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/sched_switch")]
extern "C" fn proof(context: *const u64) -> i32 {
    context.is_null().into()
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
"#;

pub(super) fn build_a_program(workspace: &Workspace, toolchain: &Toolchain) -> Result<()> {
    let dir = workspace.toolchain_dir().join("proof");
    write(&dir).with_context(|| format!("{} cannot be written", dir.display()))?;
    say(&format!(
        "checking that {} builds BPF programs",
        toolchain.version
    ));
    let mut command = toolchain.command(&toolchain.cargo);
    command
        .current_dir(&dir)
        .args(["build", "--quiet"])
        .args(toolchain.options());
    process::run(&mut command)?;
    fs::remove_dir_all(&dir).with_context(|| format!("{} stays behind", dir.display()))
}

fn write(dir: &Path) -> std::io::Result<()> {
    fs::create_dir_all(dir.join("src"))?;
    fs::write(dir.join("Cargo.toml"), MANIFEST)?;
    fs::write(dir.join("src/main.rs"), PROGRAM)
}
