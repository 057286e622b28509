//! apt with a configuration, lists and cache of its own, for all suites that have a kernel we want.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::make;
use crate::process;
use crate::setup::say;

/// Where no Debian source says otherwise.
const MIRROR: &str = "http://deb.debian.org/debian";
const SUITES: &str = "bullseye bookworm bookworm-backports trixie trixie-backports forky sid";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// Lists older than this are refreshed.
const FRESH: Duration = Duration::from_secs(24 * 3600);

/// A private apt.
pub(crate) struct Apt {
    folder: PathBuf,
}

impl Apt {
    /// In a folder; its lists are refreshed when they are old.
    pub(crate) fn new(lab: &Path) -> Result<Self> {
        let apt = Self {
            folder: lab.join("apt"),
        };
        for name in [
            "lists/partial",
            "cache/archives/partial",
            "sources",
            "preferences",
            "state",
        ] {
            make(&apt.folder.join(name))?;
        }
        apt.configure()?;
        if !apt.is_fresh() {
            say("refreshing the package lists of the lab");
            process::run(apt.command("apt-get").args(["update", "--quiet=2"]))?;
            fs::write(apt.stamp(), "")?;
        }
        Ok(apt)
    }

    /// Packages whose name begins and ends so, the newest version first.
    pub(crate) fn named(&self, prefix: &str, suffix: &str) -> Result<Vec<String>> {
        let mut command = self.command("apt-cache");
        let all = process::read(command.args(["pkgnames", prefix]));
        let all = all.context("apt-cache says nothing")?;
        let fits = |name: &&str| {
            name.ends_with(suffix) && is_plain(&name[prefix.len()..name.len() - suffix.len()])
        };
        let mut names: Vec<String> = all.lines().filter(fits).map(str::to_owned).collect();
        names.sort_by_key(|name| std::cmp::Reverse(numbers(name)));
        Ok(names)
    }

    /// Downloads a package and unpacks it into a folder. `Ok(false)` when the mirror does not have what its lists promise.
    pub(crate) fn unpack(&self, package: &str, to: &Path) -> Result<bool> {
        self.fetch(&[], &[package.to_owned()], to)
    }

    /// The same with several packages, of one suite.
    pub(crate) fn unpack_from(&self, suite: &str, packages: &[String], to: &Path) -> Result<bool> {
        self.fetch(&["--target-release", suite], packages, to)
    }

    /// Packages of one suite with all they depend on, down to the C library: this apt knows of nothing installed.
    pub(crate) fn unpack_whole(&self, suite: &str, packages: &[&str], to: &Path) -> Result<()> {
        let archives = self.folder.join("archives");
        // What an interrupted run left.
        let _absent = fs::remove_dir_all(&archives);
        make(&archives.join("partial"))?;
        let mut command = self.command("apt-get");
        command
            .args(["install", "--download-only", "--yes", "--quiet=2"])
            .args(["--no-install-recommends", "--target-release", suite])
            .arg("--option=Debug::NoLocking=true")
            .arg(format!(
                "--option=Dir::Cache::archives={}",
                archives.display()
            ))
            .args(packages);
        process::run(&mut command)?;
        extract_all(&archives, to)
    }

    fn fetch(&self, options: &[&str], packages: &[String], to: &Path) -> Result<bool> {
        let archives = self.folder.join("archives");
        // What an interrupted run left.
        let _absent = fs::remove_dir_all(&archives);
        make(&archives)?;
        let mut command = self.command("apt-get");
        command.current_dir(&archives).args(options);
        if !process::succeeds(command.args(["download", "--quiet=2"]).args(packages)) {
            return Ok(false);
        }
        extract_all(&archives, to)?;
        Ok(true)
    }

    /// With what it needs that this machine does not have, downloaded and unpacked into a folder.
    pub(crate) fn unpack_program(package: &str, lab: &Path, to: &Path) -> Result<()> {
        let archives = lab.join("archives");
        make(&archives.join("partial"))?;
        let mut command = Command::new("apt-get");
        command
            .args([
                "install",
                "--download-only",
                "--yes",
                "--quiet=2",
                "--no-install-recommends",
            ])
            .arg("--option=Debug::NoLocking=true")
            .arg(format!(
                "--option=Dir::Cache::archives={}",
                archives.display()
            ))
            .arg(package);
        process::run(&mut command)?;
        for entry in fs::read_dir(&archives)? {
            let deb = entry?.path();
            if deb.extension().is_some_and(|ending| ending == "deb") {
                process::run(Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(to))?;
            }
        }
        if !to.exists() {
            bail!("apt found nothing to unpack for {package}");
        }
        Ok(())
    }

    fn configure(&self) -> Result<()> {
        let at = self.folder.display();
        fs::write(self.folder.join("state/status"), "")?;
        let configuration = format!(
            "Dir::State \"{at}/state\";\nDir::State::Lists \"{at}/lists\";\nDir::State::status \"{at}/state/status\";\n\
             Dir::Cache \"{at}/cache\";\nDir::Etc::SourceList \"/dev/null\";\nDir::Etc::SourceParts \"{at}/sources\";\n\
             Dir::Etc::Preferences \"/dev/null\";\nDir::Etc::PreferencesParts \"{at}/preferences\";\n\
             APT::Architecture \"amd64\";\nAPT::Architectures {{ \"amd64\"; \"arm64\"; }};\n\
             APT::Sandbox::User \"root\";\nAcquire::Languages \"none\";\nAcquire::Check-Valid-Until \"false\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
             Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n"
        );
        fs::write(self.configuration(), configuration)?;
        let sources = format!(
            "Types: deb\nURIs: {}\nSuites: {SUITES}\nComponents: main\nSigned-By: {KEYRING}\n",
            mirror()
        );
        fs::write(self.folder.join("sources/debian.sources"), sources)?;
        Ok(())
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("apt.conf")
    }

    fn stamp(&self) -> PathBuf {
        self.folder.join("lists/refreshed")
    }

    fn is_fresh(&self) -> bool {
        let modified = fs::metadata(self.stamp()).and_then(|stamp| stamp.modified());
        let age = modified.ok().and_then(|time| time.elapsed().ok());
        age.is_some_and(|age| age < FRESH)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.configuration());
        command
    }
}

/// Unpacks the packages of a folder and removes them.
fn extract_all(archives: &Path, to: &Path) -> Result<()> {
    make(to)?;
    for entry in fs::read_dir(archives)? {
        let deb = entry?.path();
        if deb.extension().is_some_and(|ending| ending == "deb") {
            process::run(Command::new("dpkg-deb").arg("--extract").arg(&deb).arg(to))?;
            fs::remove_file(&deb)?;
        }
    }
    Ok(())
}

/// The machine's own mirror of Debian, so that a proxy or a copy at hand is used.
fn mirror() -> String {
    let texts = [
        "/etc/apt/sources.list.d/debian.sources",
        "/etc/apt/sources.list",
    ];
    let mut texts = texts
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok());
    texts
        .find_map(|text| mirror_in(&text))
        .unwrap_or_else(|| MIRROR.to_owned())
}

fn mirror_in(text: &str) -> Option<String> {
    let mut words = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(str::split_whitespace);
    let address = words
        .find(|word| word.starts_with("http") && word.trim_end_matches('/').ends_with("/debian"))?;
    Some(address.trim_end_matches('/').to_owned())
}

/// No flavour such as `cloud` or `rt` in it.
fn is_plain(version: &str) -> bool {
    !["cloud", "rt", "unsigned", "dbg", "16k", "-common"]
        .iter()
        .any(|flavour| version.contains(flavour))
}

/// For comparing versions.
fn numbers(name: &str) -> Vec<u64> {
    let parts = name.split(|c: char| !c.is_ascii_digit());
    parts.filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert!(
            numbers("linux-image-6.12.117+deb12-amd64") > numbers("linux-image-6.12.9+deb12-amd64")
        );
        assert!(is_plain("117+deb12"));
        assert!(!is_plain("117+deb12-cloud"));
    }

    #[test]
    fn the_machines_mirror_is_used() {
        let text =
            "Types: deb\n# http://no/debian\nURIs: http://mirror.example/debian/\nSuites: x\n";
        assert_eq!(
            mirror_in(text).as_deref(),
            Some("http://mirror.example/debian")
        );
        assert_eq!(mirror_in("deb https://other.example/x main"), None);
    }
}
