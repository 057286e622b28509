//! Which agent is tested.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

/// Names the agent under test.
const VARIABLE: &str = "STALL_AGENT_BIN";

/// The agent under test: `$STALL_AGENT_BIN`, or the release build.
pub(crate) fn program() -> Result<PathBuf> {
    let given = std::env::var_os(VARIABLE).map(PathBuf::from);
    let built = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        root.unwrap_or(Path::new("."))
            .join("target/release/stall-agent")
    };
    let path = given.unwrap_or_else(built);
    ensure!(
        path.is_file(),
        "there is no agent at {}: run `cargo xtask build`, or set {VARIABLE}",
        path.display()
    );
    Ok(path)
}
