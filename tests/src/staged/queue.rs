//! The queue settings of a staged disk, in `/sys/block/X/queue`.
//!
//! Contract: they survive detaching, so each one that matters is always set, and what was there
//! before is written back. A setting that this kernel lacks is skipped.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// The most that the kernel takes, in whole blocks.
const NO_DISCARD_LIMIT: u32 = u32::MAX / 4096 * 4096;

/// Settings that were changed, with what they were before.
#[derive(Debug)]
pub struct Queue {
    folder: PathBuf,
    before: Vec<(String, String)>,
}

impl Queue {
    /// The queue of a disk by name, nothing changed yet.
    pub fn of(disk: &str) -> Self {
        Self {
            folder: PathBuf::from(format!("/sys/block/{disk}/queue")),
            before: Vec::new(),
        }
    }

    /// Sets a value and remembers the one before.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let path = self.folder.join(name);
        if !path.exists() {
            return Ok(());
        }
        let before = self.get(name)?;
        if before != value {
            let before = self.restorable(name, before);
            write(&path, value)?;
            self.before.push((name.to_owned(), before));
        }
        Ok(())
    }

    /// The value now; of a choice, the chosen one.
    pub fn get(&self, name: &str) -> Result<String> {
        let path = self.folder.join(name);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("reading {}", path.display()))?;
        Ok(chosen(text.trim()).to_owned())
    }

    /// What to write so that the value comes back: the kernel refuses its own "no limit".
    fn restorable(&self, name: &str, before: String) -> String {
        let unlimited = name == "discard_max_bytes"
            && self
                .get("discard_max_hw_bytes")
                .is_ok_and(|hw| hw == before);
        if unlimited {
            NO_DISCARD_LIMIT.to_string()
        } else {
            before
        }
    }

    /// Writes back what was there before, last first.
    pub fn restore(&mut self) -> Result<()> {
        for (name, value) in self.before.drain(..).rev() {
            write(&self.folder.join(name), &value)?;
        }
        Ok(())
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        if let Err(error) = self.restore() {
            eprintln!("staged disk: {error:#}");
        }
    }
}

fn write(path: &Path, value: &str) -> Result<()> {
    std::fs::write(path, value).with_context(|| format!("writing {value} to {}", path.display()))
}

/// `none` out of `[none] mq-deadline`.
fn chosen(text: &str) -> &str {
    let inside = text
        .split_once('[')
        .and_then(|(_, rest)| rest.split_once(']'));
    inside.map_or(text, |(chosen, _)| chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chosen_value_is_the_bracketed_one() {
        assert_eq!(chosen("[none] mq-deadline"), "none");
        assert_eq!(chosen("none [bfq] kyber"), "bfq");
        assert_eq!(chosen("1280"), "1280");
    }

    #[test]
    fn what_was_there_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nr_requests");
        std::fs::write(&path, "128\n").unwrap();
        let mut queue = Queue {
            folder: folder.path().to_path_buf(),
            before: Vec::new(),
        };
        queue.set("nr_requests", "4").unwrap();
        queue.set("nr_requests", "8").unwrap();
        queue.set("absent", "1").unwrap();
        assert_eq!(queue.get("nr_requests").unwrap(), "8");
        drop(queue);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "128");
    }
}
