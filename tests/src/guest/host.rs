//! What only the host can do to a disk: let it stand still, and let it go on.
//!
//! Contract: comes back when it is done; a disk goes on when its guard is dropped.

use std::io::{self, BufRead as _};

use anyhow::{Context as _, Result, ensure};

use super::outcome::ASK;

/// A disk that takes requests and answers none.
pub struct Hanging {
    disk: &'static str,
    hangs: bool,
}

impl Hanging {
    /// From now on; what the disk was doing has ended.
    ///
    /// # Errors
    ///
    /// When the host does not do it.
    pub fn start(disk: &'static str) -> Result<Self> {
        ask(&format!("hang {disk}"))?;
        Ok(Self { disk, hangs: true })
    }

    /// Lets it go on.
    ///
    /// # Errors
    ///
    /// When the host does not do it.
    pub fn end(mut self) -> Result<()> {
        self.hangs = false;
        ask(&format!("release {}", self.disk))
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        if self.hangs {
            // What waits for the disk will tell.
            let _ = ask(&format!("release {}", self.disk));
        }
    }
}

fn ask(what: &str) -> Result<()> {
    println!("{ASK}{what}");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    read.context("reading the host's answer")?;
    ensure!(
        answer.trim() == "done",
        "the host cannot {what}: {answer:?}"
    );
    Ok(())
}
