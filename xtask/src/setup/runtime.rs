//! The programs that the demo and the tests run.

use anyhow::Result;

use super::{apt, say};
use crate::process;

/// Program and the Debian package it comes in.
const PROGRAMS: [(&str, &str); 9] = [
    ("blkdiscard", "util-linux"),
    ("fio", "fio"),
    ("fstrim", "util-linux"),
    ("groff", "groff-base"),
    ("losetup", "mount"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("tmux", "tmux"),
];

/// For the tests of the page; without it they are skipped.
const BROWSER: [(&str, &str); 2] = [
    ("chromium", "chromium"),
    ("chromedriver", "chromium-driver"),
];

/// Installs what is missing; where that cannot be, says what will be missed, and building goes on.
pub(super) fn ensure() -> Result<()> {
    install(&PROGRAMS)?;
    // Not every distribution has it as a package.
    if let Err(error) = install(&BROWSER) {
        say(&format!(
            "the tests in a browser will be skipped: {error:#}"
        ));
    }
    Ok(())
}

fn install(programs: &[(&'static str, &'static str)]) -> Result<()> {
    let missing = programs
        .iter()
        .filter(|(program, _)| process::find(program).is_none());
    let (programs, mut packages): (Vec<_>, Vec<_>) = missing.copied().unzip();
    packages.dedup();
    if packages.is_empty() || apt::usable() {
        return apt::install(&packages);
    }
    say(&format!(
        "missing for the tests: {} (packages {})",
        programs.join(" "),
        packages.join(" ")
    ));
    Ok(())
}
