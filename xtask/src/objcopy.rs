//! What takes a binary apart: the compiler's own, which unlike the host's knows every architecture.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process;

/// The compiler's finds its library by itself only where the toolchain was built, so it is told.
pub(crate) struct Objcopy {
    program: PathBuf,
    libraries: Option<PathBuf>,
}

impl Objcopy {
    pub(crate) fn find() -> Result<Self> {
        let mut command = Command::new("rustc");
        let said = process::read(command.args(["--print", "target-libdir", "--print", "sysroot"]));
        let said = said.context("rustc does not say where its libraries are")?;
        let (libdir, sysroot) = said
            .split_once('\n')
            .context("rustc says one thing of two")?;
        let own = Path::new(libdir).with_file_name("bin").join("rust-objcopy");
        if own.exists() {
            return Ok(Self {
                program: own,
                libraries: Some(Path::new(sysroot).join("lib")),
            });
        }
        let other = process::find("llvm-objcopy");
        Ok(Self {
            program: other.context("neither rust-objcopy nor llvm-objcopy is there")?,
            libraries: None,
        })
    }

    /// The binary without symbols to `to`, what is taken out to `to.debug`, with a link from one to the other.
    pub(crate) fn part(&self, built: &Path, to: &Path) -> Result<()> {
        let debug = to.with_extension("debug");
        self.run(&[
            "--only-keep-debug".as_ref(),
            built.as_os_str(),
            debug.as_os_str(),
        ])?;
        self.strip(built, to)?;
        let link = format!("--add-gnu-debuglink={}", debug.display());
        self.run(&[link.as_ref(), to.as_os_str()])
    }

    /// The binary without symbols, for an emulated machine: they make up most of it, and its CPU has to unpack them.
    pub(crate) fn stripped(&self, built: &Path) -> Result<Vec<u8>> {
        let file = tempfile::NamedTempFile::new().context("no file for what is stripped")?;
        self.strip(built, file.path())?;
        let bytes = fs::read(file.path());
        bytes.with_context(|| format!("reading {}, stripped", built.display()))
    }

    fn strip(&self, built: &Path, to: &Path) -> Result<()> {
        self.run(&["--strip-all".as_ref(), built.as_os_str(), to.as_os_str()])
    }

    fn run(&self, arguments: &[&OsStr]) -> Result<()> {
        let mut command = Command::new(&self.program);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        process::run(command.args(arguments))
    }
}
