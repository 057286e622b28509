//! Debian packages: which are missing, and installing them.

use std::process::Command;

use anyhow::{Result, bail};
use nix::unistd::geteuid;

use super::say::say;
use crate::process;

/// Whether packages can be installed at all.
pub(super) fn usable() -> bool {
    geteuid().is_root() && process::find("apt-get").is_some()
}

/// Those of `packages` that are not installed.
pub(super) fn missing<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    let mut query = Command::new("dpkg-query");
    query
        .args(["--show", "--showformat=${db:Status-Abbrev} ${Package}\n"])
        .args(packages);
    // It fails when it does not know one of them, and has then still printed the others.
    let output = query
        .output()
        .map(|output| output.stdout)
        .unwrap_or_default();
    not_installed(packages, &String::from_utf8_lossy(&output))
}

fn not_installed<'a>(packages: &[&'a str], listing: &str) -> Vec<&'a str> {
    let installed = |package: &str| {
        let mut lines = listing.lines().filter_map(|line| line.split_once(' '));
        lines.any(|(status, name)| status == "ii" && name.trim() == package)
    };
    packages
        .iter()
        .copied()
        .filter(|package| !installed(package))
        .collect()
}

/// Installs `packages`, with the package lists refreshed when they do not know them.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    let packages = missing(packages);
    if packages.is_empty() {
        return Ok(());
    }
    make_installable(&packages)?;
    say(&format!(
        "installing the Debian packages {}",
        packages.join(" ")
    ));
    // Lists that are only old name files that have gone.
    install_now(&packages).or_else(|_| update().and_then(|()| install_now(&packages)))
}

/// A source that cannot be reached matters only when it has what we want.
fn make_installable(packages: &[&str]) -> Result<()> {
    if installable(packages) {
        return Ok(());
    }
    let updated = update();
    if installable(packages) {
        return Ok(());
    }
    updated?;
    bail!("apt cannot install {} here", packages.join(" "))
}

fn installable(packages: &[&str]) -> bool {
    process::succeeds(apt_get("install").arg("--simulate").args(packages))
}

fn install_now(packages: &[&str]) -> Result<()> {
    process::run(
        apt_get("install")
            .args(["--quiet=2", "--yes"])
            .args(packages),
    )
}

fn update() -> Result<()> {
    say("refreshing the package lists");
    process::run(apt_get("update").arg("--quiet"))
}

fn apt_get(action: &str) -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg(action);
    command.args([
        "--no-install-recommends",
        "--option=DPkg::Lock::Timeout=300",
    ]);
    command
}

#[cfg(test)]
mod tests {
    use super::not_installed;

    #[test]
    fn removed_and_unknown_packages_are_missing() {
        let listing = "ii  fio\nrc  xfsprogs\n";
        assert_eq!(
            not_installed(&["fio", "xfsprogs", "fdisk"], listing),
            ["xfsprogs", "fdisk"]
        );
    }
}
