//! Names the build: `STALL_AGENT_VERSION`, the package version with the commit it is built from.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

type Result<T> = std::result::Result<T, String>;

/// The commit of sources that were copied without their history.
const COMMIT: &str = "STALL_AGENT_COMMIT";

/// `cargo::error` fails the build by itself, and shows only what it says.
fn main() {
    if let Err(message) = run() {
        println!("cargo::error={message}");
    }
}

fn run() -> Result<()> {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let parent = package.parent();
    let workspace = parent.ok_or("the package has no workspace around it")?;
    println!("cargo::rerun-if-changed={}", package.display());
    name_the_build(workspace)
}

fn variable(name: &str) -> Result<String> {
    env::var(name).map_err(|error| format!("cargo sets {name}, but: {error}"))
}

/// `0.1.0 (6b58c41-dirty)`; outside git what `STALL_AGENT_COMMIT` says, or `unknown`.
fn name_the_build(workspace: &Path) -> Result<()> {
    println!("cargo::rerun-if-env-changed={COMMIT}");
    for path in ["HEAD", "logs/HEAD"] {
        watch_git_file(workspace, path);
    }
    let package = variable("CARGO_PKG_VERSION")?;
    let told = env::var(COMMIT).ok().filter(|commit| !commit.is_empty());
    let commit = told.or_else(|| commit(workspace));
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=STALL_AGENT_VERSION={package} ({commit})");
    Ok(())
}

/// Only a file that is there: cargo would run this script every time for one that is not.
fn watch_git_file(workspace: &Path, name: &str) {
    let path = git(workspace, &["rev-parse", "--git-path", name]).map(|path| workspace.join(path));
    if let Some(path) = path.filter(|path| path.exists()) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
}

fn commit(workspace: &Path) -> Option<String> {
    let commit = git(workspace, &["rev-parse", "--short", "HEAD"])?;
    let changes = git(
        workspace,
        &["status", "--porcelain", "--untracked-files=no"],
    )?;
    Some(if changes.is_empty() {
        commit
    } else {
        format!("{commit}-dirty")
    })
}

fn git(workspace: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command
        .current_dir(workspace)
        .env("GIT_OPTIONAL_LOCKS", "0")
        .args(arguments);
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
