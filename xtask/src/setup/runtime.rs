//! The programs that the demo and the tests on the real kernel run.

use anyhow::Result;

use super::{apt, say};
use crate::process;

/// Program and the Debian package it comes in.
const PROGRAMS: [(&str, &str); 7] = [
    ("blkdiscard", "util-linux"),
    ("fio", "fio"),
    ("fstrim", "util-linux"),
    ("losetup", "mount"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
];

/// Installs what is missing; where that cannot be, says what will be missed, and building goes on.
pub(super) fn ensure() -> Result<()> {
    let missing = PROGRAMS
        .into_iter()
        .filter(|(program, _)| process::find(program).is_none());
    let (programs, mut packages): (Vec<_>, Vec<_>) = missing.unzip();
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
