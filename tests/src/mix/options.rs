//! What was typed: `mixes [--count N] [--seed S] [--jobs J] [--only S] [--agent PATH] [--keep DIR]`.
//!
//! Contract: pure; what is not understood is an error that names it.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail, ensure};

/// What `--help` prints.
pub const USAGE: &str = "\
Stages random mixes on slow disks, has the agent trace each, and says how often a trim stands accused.

mixes [OPTIONS]
  --count N     so many mixes in which the trim is to blame, and as many in which it is not (default: 200)
  --seed S      the first seed (default: 1)
  --jobs J      so many mixes at the same time (default: 4)
  --only S      nothing but the mix of this seed
  --agent PATH  the agent (default: stall-agent beside this program)
  --keep DIR    keep the captures of what went wrong there; with --only, its capture
  --help        this text

Must run as root. Exit status: 0 when within the bounds, 1 when not.";

/// The options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub count: usize,
    pub seed: u64,
    pub jobs: usize,
    pub only: Option<u64>,
    pub agent: PathBuf,
    pub keep: Option<PathBuf>,
}

impl Options {
    /// Those of the full length.
    pub fn new(agent: PathBuf) -> Self {
        Self {
            count: 200,
            seed: 1,
            jobs: 4,
            only: None,
            agent,
            keep: None,
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
                "--count" => options.count = number(word, value()?)? as usize,
                "--seed" => options.seed = number(word, value()?)?,
                "--jobs" => options.jobs = number(word, value()?)? as usize,
                "--only" => options.only = Some(number(word, value()?)?),
                "--agent" => options.agent = value()?.into(),
                "--keep" => options.keep = Some(value()?.into()),
                "--help" | "-h" => return Ok(None),
                _ => bail!("`{word}` is not understood; see --help"),
            }
        }
        ensure!((1..=16).contains(&options.jobs), "--jobs is 1 to 16");
        Ok(Some(options))
    }
}

fn number(word: &str, text: &str) -> Result<u64> {
    text.parse()
        .with_context(|| format!("{word}: `{text}` is no number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Option<Options>> {
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        Options::parse(&words, PathBuf::from("/agent"))
    }

    #[test]
    fn defaults_and_values() {
        let options = parse(&["--count", "6", "--only", "9", "--keep", "x"])
            .unwrap()
            .unwrap();
        assert_eq!((options.count, options.only, options.jobs), (6, Some(9), 4));
        assert_eq!(options.agent, PathBuf::from("/agent"));
        assert_eq!(parse(&["--help"]).unwrap(), None);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for words in [
            &["--count"][..],
            &["--count", "x"],
            &["--jobs", "0"],
            &["--fast"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
