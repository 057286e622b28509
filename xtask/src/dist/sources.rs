//! What is built: its commit and date, and copies of it elsewhere.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::process;
use crate::toolchain::Toolchain;
use crate::workspace::Workspace;

/// What the outcome depends on besides the files.
pub(super) struct Origin {
    /// Short, `-dirty` behind it when files differ from it; `unknown` outside git.
    pub(super) commit: String,
    /// Seconds since 1970 that every file handed out is dated to: `SOURCE_DATE_EPOCH`, else the commit's.
    pub(super) epoch: u64,
}

impl Origin {
    pub(super) fn of(workspace: &Workspace) -> Result<Self> {
        let root = workspace.root();
        let told = env::var("SOURCE_DATE_EPOCH").ok();
        let epoch = told.or_else(|| git(root, &["log", "-1", "--format=%ct"]));
        let epoch = epoch.unwrap_or_else(|| "0".to_owned());
        Ok(Self {
            commit: commit(root),
            epoch: epoch
                .parse()
                .with_context(|| format!("SOURCE_DATE_EPOCH={epoch} is no number of seconds"))?,
        })
    }

    /// RFC 3339, UTC.
    pub(super) fn time(&self) -> String {
        let (year, month, day) = civil(self.epoch / 86_400);
        let second = self.epoch % 86_400;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{:02}Z",
            second % 60
        )
    }
}

/// Every tracked file as it is now, in a directory that goes with the value, with the toolchain's record.
pub(super) fn copy(workspace: &Workspace) -> Result<TempDir> {
    let root = workspace.root();
    let to = tempfile::Builder::new().prefix("stall-agent-").tempdir()?;
    let files = git(root, &["ls-files", "-z"]).context("only what is in git can be copied")?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        // What is deleted and not committed yet.
        if root.join(file).is_file() {
            copy_file(&root.join(file), &to.path().join(file))?;
        }
    }
    let record = Toolchain::file(&workspace.toolchain_dir());
    copy_file(&record, &to.path().join(".toolchain/bpf"))?;
    Ok(to)
}

fn copy_file(from: &Path, to: &Path) -> Result<()> {
    if let Some(dir) = to.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::copy(from, to).with_context(|| format!("{} cannot be copied", from.display()))?;
    Ok(())
}

fn commit(root: &Path) -> String {
    let changes = git(root, &["status", "--porcelain", "--untracked-files=no"]);
    let mark = if changes.is_none_or(|changes| changes.is_empty()) {
        ""
    } else {
        "-dirty"
    };
    let commit = git(root, &["rev-parse", "--short=12", "HEAD"]);
    commit.map_or_else(|| "unknown".to_owned(), |commit| commit + mark)
}

fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    process::read(Command::new("git").current_dir(root).args(arguments))
}

/// Year, month and day of a number of days since 1970-01-01 (Hinnant, `civil_from_days`).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        let time = |epoch| {
            let commit = String::new();
            Origin { commit, epoch }.time()
        };
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(time(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(time(1_700_000_000), "2023-11-14T22:13:20Z");
    }
}
