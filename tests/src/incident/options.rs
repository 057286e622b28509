//! What was typed: `incident [--agent PATH] [--output PATH] [--duration TIME] [-- AGENT OPTIONS]`.
//!
//! Contract: pure; what is not understood is an error that names it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// What `--help` prints.
pub const USAGE: &str = "\
Stages a real incident on a disk of its own, has the agent trace it, says what was true.

incident [OPTIONS] [-- AGENT OPTIONS]
  --agent PATH      the agent (default: stall-agent beside this program)
  --output PATH     where the agent's report goes (default: stall.json)
  --duration TIME   how long to trace, such as 15s or 1m30s (default: 15s)
  --help            this text

Must run as root. Exit status: the agent's; 128 + N after signal N before the trace.";

/// The longest trace that is staged; the disk grows with it.
const LONGEST: Duration = Duration::from_secs(600);

/// The options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub agent: PathBuf,
    pub output: PathBuf,
    /// As typed, for the agent.
    pub duration: String,
    /// More options for the agent.
    pub rest: Vec<String>,
}

impl Options {
    /// Reads them; `None` means that help is wanted.
    pub fn parse(arguments: &[String], default_agent: PathBuf) -> Result<Option<Self>> {
        let mut options = Self {
            agent: default_agent,
            output: PathBuf::from("stall.json"),
            duration: "15s".to_owned(),
            rest: Vec::new(),
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--agent" => options.agent = value()?.into(),
                "--output" => options.output = value()?.into(),
                "--duration" => options.duration.clone_from(value()?),
                "--" => options.rest = words.by_ref().cloned().collect(),
                "--help" | "-h" => return Ok(None),
                _ => bail!("`{word}` is not understood; see --help"),
            }
        }
        options.duration()?;
        Ok(Some(options))
    }

    /// How long the trace is to be.
    pub fn duration(&self) -> Result<Duration> {
        let duration = duration(&self.duration)
            .with_context(|| format!("`{}` is no duration such as 15s", self.duration))?;
        let seconds = duration.as_secs();
        ensure!(
            seconds >= 5 && duration <= LONGEST,
            "the incident needs between 5s and 10m, not {}",
            self.duration
        );
        Ok(duration)
    }
}

/// `1m30s`, `15s`, `1500ms`.
fn duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(rest.len());
        total += match &rest[..letters] {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            _ => return None,
        };
        rest = &rest[letters..];
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Option<Options>> {
        let words: Vec<String> = words.iter().map(|&w| w.to_owned()).collect();
        Options::parse(&words, PathBuf::from("/agent"))
    }

    #[test]
    fn defaults_and_values() {
        let options = parse(&[]).unwrap().unwrap();
        assert_eq!(options.agent, PathBuf::from("/agent"));
        assert_eq!(options.duration().unwrap(), Duration::from_secs(15));
        let options = parse(&["--duration", "1m", "--output", "x", "--", "-v"]);
        let options = options.unwrap().unwrap();
        assert_eq!(options.output, PathBuf::from("x"));
        assert_eq!(options.rest, ["-v"]);
        assert_eq!(parse(&["--agent", "a", "--help"]).unwrap(), None);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for words in [
            &["--agent"][..],
            &["trace"],
            &["--duration", "15"],
            &["--duration", "1s"],
            &["--duration", "2h"],
            &["--duration", "60m"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn durations_add_up() {
        assert_eq!(duration("1m30s"), Some(Duration::from_secs(90)));
        assert_eq!(duration("1500ms"), Some(Duration::from_millis(1500)));
        assert_eq!(duration(""), None);
        assert_eq!(duration("s"), None);
    }
}
