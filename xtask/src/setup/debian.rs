//! The Debian way: `rustc-web` with its built `core` for BPF, and a bpf-linker of the same LLVM.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use super::{apt, linker, pins};
use crate::process;
use crate::toolchain::{self, TARGET, Toolchain};
use crate::workspace::Workspace;

const RUSTC: &str = "/usr/bin/rustc";

/// The compiler and linker, where both are there.
pub(super) fn find(workspace: &Workspace) -> Option<Toolchain> {
    let version = compiler()?;
    let linker_dir = linker::find(workspace, pins::LLVM)?;
    let clippy_driver = Some(PathBuf::from("/usr/bin/clippy-driver")).filter(|path| path.exists());
    Some(Toolchain {
        cargo: "/usr/bin/cargo".into(),
        rustc: RUSTC.into(),
        version,
        clippy_driver,
        build_std: false,
        linker_dir,
    })
}

/// The version of the compiler, where it is of the LLVM we want and has `core` for BPF.
fn compiler() -> Option<String> {
    let (version, llvm) = toolchain::identify(Path::new(RUSTC))?;
    let sysroot = process::read(Command::new(RUSTC).args(["--print", "sysroot"]))?;
    let core = Path::new(&sysroot)
        .join("lib/rustlib")
        .join(TARGET)
        .join("lib");
    let whole = llvm == pins::LLVM && core.is_dir() && Path::new("/usr/bin/cargo").exists();
    whole.then_some(version)
}

/// Installs the compiler where we may, and builds the linker; nothing where there is no compiler.
pub(super) fn install(workspace: &Workspace) -> Result<Option<Toolchain>> {
    let may = apt::usable();
    let installed = if may {
        apt::install(&pins::COMPILER)
    } else {
        Ok(())
    };
    if compiler().is_none() {
        installed?;
        ensure!(
            !may,
            "{RUSTC} is not of LLVM {} or has no core for {TARGET}",
            pins::LLVM
        );
        return Ok(None);
    }
    linker::install(workspace, Path::new(RUSTC), pins::LLVM)?;
    Ok(find(workspace))
}
