//! The programs that the demo and the tests run.

use anyhow::Result;

use super::apt;
use super::say::say;
use crate::process;

/// A program, and the Debian package it comes in.
pub(crate) type Program = (&'static str, &'static str);

/// What stages a disk with ext4, and loads it.
pub(crate) const STAGING: &[Program] = &[
    ("fio", "fio"),
    ("fstrim", "util-linux"),
    ("losetup", "mount"),
    ("mkfs.ext4", "e2fsprogs"),
];

/// What all other tests need.
pub(crate) const TESTS: &[Program] = &[
    ("blkdiscard", "util-linux"),
    ("groff", "groff-base"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("mkfs.xfs", "xfsprogs"),
    ("tmux", "tmux"),
];

/// For the tests that look at the page; without it they are skipped.
pub(crate) const BROWSER: &[Program] = &[("chromium", "chromium")];

/// Installs what is missing; where that cannot be, says what will be missed, and building goes on.
pub(super) fn ensure(programs: &[&[Program]]) -> Result<()> {
    let programs = programs.iter().copied().flatten();
    let missing = programs.filter(|(program, _)| process::find(program).is_none());
    let (programs, mut packages): (Vec<_>, Vec<_>) = missing.copied().unzip();
    packages.dedup();
    if packages.is_empty() || apt::usable() {
        return apt::install(&packages);
    }
    say(&format!(
        "missing: {} (packages {})",
        programs.join(" "),
        packages.join(" ")
    ));
    Ok(())
}
