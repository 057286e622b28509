//! What people use otherwise: libbpf-tools and bpftrace, unpacked with all they need, so that they run on any machine
//! of the architecture.
//!
//! Of the release after the one this project is built on, as bpftrace there knows the kernels of today.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use super::apt::Apt;
use crate::setup::say;

const SUITE: &str = "trixie";
const PACKAGES: &[&str] = &["libbpf-tools", "bpftrace"];

/// The folder they are in, downloaded when it is not there.
pub(crate) fn get(lab: &Path) -> Result<PathBuf> {
    ensure!(
        cfg!(target_arch = "x86_64"),
        "the peers are for x86_64 only"
    );
    let folder = lab.join("peers");
    if !folder.exists() {
        say(&format!(
            "downloading {} of {SUITE}, with their libraries",
            PACKAGES.join(" and ")
        ));
        let partial = folder.with_extension("partial");
        let _absent = fs::remove_dir_all(&partial);
        Apt::new(lab)?.unpack_whole(SUITE, PACKAGES, &partial)?;
        fs::rename(&partial, &folder)?;
    }
    Ok(folder)
}
