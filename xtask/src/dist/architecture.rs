//! The architectures that are built for: what each is called by whom, and its standard library.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Architecture {
    /// As the kernel calls it (`uname -m`).
    pub(super) name: &'static str,
    /// As Go calls it, and with it container images.
    pub(super) oci: &'static str,
    /// As Rust calls it. musl's libc can be linked statically without reservation; glibc's cannot.
    pub(super) triple: &'static str,
    /// As `readelf` calls it.
    pub(super) machine: &'static str,
}

pub(super) const ALL: [Architecture; 2] = [
    Architecture {
        name: "x86_64",
        oci: "amd64",
        triple: "x86_64-unknown-linux-musl",
        machine: "Advanced Micro Devices X86-64",
    },
    Architecture {
        name: "aarch64",
        oci: "arm64",
        triple: "aarch64-unknown-linux-musl",
        machine: "AArch64",
    },
];

impl Architecture {
    /// Of the compiler in use; rustup fetches it when it is missing.
    pub(super) fn ensure_standard_library(&self) -> Result<()> {
        if self.has_standard_library() {
            return Ok(());
        }
        eprintln!("dist: fetching the standard library of {}", self.triple);
        let added = process::run(Command::new("rustup").args(["target", "add", self.triple]));
        added.with_context(|| format!("no standard library of {}", self.triple))?;
        ensure!(
            self.has_standard_library(),
            "rustup added {}, and rustc does not have it",
            self.triple
        );
        Ok(())
    }

    fn has_standard_library(&self) -> bool {
        let mut command = Command::new("rustc");
        command.args(["--print", "target-libdir", "--target", self.triple]);
        process::read(&mut command).is_some_and(|dir| std::path::Path::new(&dir).is_dir())
    }
}
