//! The manual page and the completions, as the program itself prints them: made of its command line's definition, so the
//! same whichever architecture prints them.

use std::env::consts::ARCH;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::binary::Binary;

/// File, and what to type for it.
const PAGES: [(&str, &[&str]); 4] = [
    ("stall-agent.8", &["man"]),
    ("stall-agent.bash", &["completions", "bash"]),
    ("_stall-agent", &["completions", "zsh"]),
    ("stall-agent.fish", &["completions", "fish"]),
];

/// Runs the binary of this machine's own architecture.
pub(super) fn write(binaries: &[Binary], to: &Path) -> Result<()> {
    let mut binaries = binaries.iter();
    let own = binaries
        .find(|binary| binary.architecture.name == ARCH)
        .with_context(|| format!("there is no binary for {ARCH}"))?;
    for (name, arguments) in PAGES {
        let output = Command::new(&own.path)
            .args(arguments)
            .output()
            .with_context(|| format!("{} cannot be run", own.path.display()))?;
        let made = output.status.success() && !output.stdout.is_empty();
        ensure!(made, "{name} could not be made");
        fs::write(to.join(name), output.stdout)
            .with_context(|| format!("{name} cannot be written"))?;
    }
    Ok(())
}
