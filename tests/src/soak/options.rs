//! What was typed: `soak [--duration TIME] [--agent PATH]`.
//!
//! Contract: pure; what is not understood is an error that names it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// What `--help` prints.
pub const USAGE: &str = "\
Loads this machine's CPUs and a staged disk, traces it all the while, and says whether what the agent takes stays the same.

soak [OPTIONS]
  --duration T  so long, as 60m or 90s (default: 60m)
  --agent PATH  the agent (default: stall-agent beside this program)
  --help        this text

Must run as root. Exit status: 0 when memory and losses stay flat, 1 when not.";

/// The options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub duration: Duration,
    pub agent: PathBuf,
}

impl Options {
    /// Those of the full length.
    pub fn new(agent: PathBuf) -> Self {
        Self {
            duration: Duration::from_secs(3_600),
            agent,
        }
    }

    /// Reads them; `None` means that help is wanted.
    pub fn parse(arguments: &[String], default_agent: PathBuf) -> Result<Option<Self>> {
        let mut options = Self::new(default_agent);
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--duration" => options.duration = time(value()?)?,
                "--agent" => options.agent = value()?.into(),
                "--help" => return Ok(None),
                other => bail!("`{other}` is not understood"),
            }
        }
        Ok(Some(options))
    }
}

fn time(text: &str) -> Result<Duration> {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    let number: u64 = number
        .parse()
        .with_context(|| format!("`{text}` is no time"))?;
    let seconds = match unit {
        "s" => number,
        "m" => number * 60,
        _ => bail!("`{text}` has no unit: write 60m or 90s"),
    };
    ensure!(seconds > 0, "`{text}` is no time at all");
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Option<Options>> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        Options::parse(&words, "agent".into())
    }

    #[test]
    fn times_have_a_unit() {
        let options = parse(&["--duration", "90s", "--agent", "a"])
            .unwrap()
            .unwrap();
        assert_eq!(options.duration, Duration::from_secs(90));
        assert_eq!(options.agent, PathBuf::from("a"));
        assert_eq!(parse(&[]).unwrap().unwrap().duration.as_secs(), 3_600);
        assert_eq!(parse(&["--help"]).unwrap(), None);
        for wrong in [
            &["--duration", "90"][..],
            &["--duration", "0s"],
            &["--duration", "m"],
            &["--duration"],
            &["x"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
