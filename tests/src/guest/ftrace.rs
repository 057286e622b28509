//! The kernel's own trace of an event, as ground truth.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::system::mount_at;

const AT: &str = "/sys/kernel/tracing";

/// An event that is traced; until dropped.
pub struct Traced {
    enable: PathBuf,
    name: String,
}

impl Traced {
    /// `GROUP/NAME`; what was traced before is forgotten.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn start(event: &str) -> Result<Self> {
        let at = Path::new(AT);
        if !at.join("events").exists() {
            mount_at("tracefs", "tracefs", at)?;
        }
        fs::write(at.join("trace"), "").context("forgetting what was traced")?;
        let enable = at.join("events").join(event).join("enable");
        fs::write(&enable, "1").with_context(|| format!("tracing {event}"))?;
        let name = event.rsplit('/').next().unwrap_or(event).to_owned();
        Ok(Self { enable, name })
    }

    /// How often it happened so far on the disk of this number, such as `8,0`.
    ///
    /// # Errors
    ///
    /// When the trace cannot be read.
    pub fn count(&self, number: &str) -> Result<u64> {
        let text = fs::read_to_string(Path::new(AT).join("trace"))?;
        let begin = format!(" {}: {number} ", self.name);
        Ok(text.lines().filter(|line| line.contains(&begin)).count() as u64)
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // Nothing of it matters any more.
        let _ = fs::write(&self.enable, "0");
    }
}
