//! What was typed: `bench [--quick] [--read PATH] [--depths N,N] [--json FILE] [--agent PATH] [--peers DIR] [--rounds N]`.
//!
//! Contract: pure; what is not understood is an error that names it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

/// What `--help` prints.
pub const USAGE: &str = "\
Measures what the agent costs beside its peers, on a disk in memory or one that is given.

bench [OPTIONS]
  --quick       two short rounds, to see that it works
  --read PATH   reads this disk, or this file past the page cache, instead; then
                what grows with disks, threads and tasks is left out
  --depths N,N  requests at once (default: 1,8,32)
  --json FILE   everything measured, as JSON
  --rounds N    so many rounds (default: 5)
  --agent PATH  the agent (default: stall-agent beside this program)
  --peers DIR   where Debian's libbpf-tools and bpftrace are unpacked; without, no peers
  --help        this text

Must run as root.";

/// The options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub rounds: usize,
    /// How long each load lasts.
    pub load: Duration,
    pub agent: PathBuf,
    pub peers: Option<PathBuf>,
    /// A disk or file that is there, to be read; else one is made.
    pub read: Option<PathBuf>,
    /// Requests at once while the disk's speed is measured.
    pub depths: Vec<u32>,
    pub json: Option<PathBuf>,
}

impl Options {
    /// Reads them; `None` means that help is wanted.
    pub fn parse(arguments: &[String], agent: PathBuf) -> Result<Option<Self>> {
        let mut options = Self {
            rounds: 5,
            load: Duration::from_secs(2),
            agent,
            peers: None,
            read: None,
            depths: vec![1, 8, 32],
            json: None,
        };
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .with_context(|| format!("{word} needs a value"))
            };
            match word.as_str() {
                "--quick" => options = options.quick(),
                "--read" => options.read = Some(value()?.into()),
                "--depths" => options.depths = depths(value()?)?,
                "--json" => options.json = Some(value()?.into()),
                "--rounds" => options.rounds = value()?.parse().context("--rounds is a number")?,
                "--agent" => options.agent = value()?.into(),
                "--peers" => options.peers = Some(value()?.into()),
                "--help" | "-h" => return Ok(None),
                _ => bail!("`{word}` is not understood; see --help"),
            }
        }
        ensure!(options.rounds > 0, "--rounds is at least 1");
        Ok(Some(options))
    }

    fn quick(self) -> Self {
        Self {
            rounds: 2,
            load: Duration::from_millis(600),
            ..self
        }
    }
}

fn depths(list: &str) -> Result<Vec<u32>> {
    let depths = list.split(',').map(str::parse);
    let depths = depths.collect::<std::result::Result<Vec<u32>, _>>();
    let depths = depths.context("--depths are numbers with commas between them")?;
    ensure!(
        depths.iter().all(|depth| *depth > 0),
        "a depth is at least 1"
    );
    Ok(depths)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Option<Options>> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words, PathBuf::from("agent"))
    }

    #[test]
    fn options_are_read() {
        let options = parse("--quick --json out.json").unwrap().unwrap();
        assert_eq!((options.rounds, options.json), (2, Some("out.json".into())));
        assert_eq!(options.depths, [1, 8, 32]);
        let options = parse("--read /dev/nvme0n1 --depths 32,128")
            .unwrap()
            .unwrap();
        assert_eq!(options.read, Some("/dev/nvme0n1".into()));
        assert_eq!(options.depths, [32, 128]);
        assert_eq!(parse("--help").unwrap(), None);
    }

    #[test]
    fn what_is_not_understood_is_named() {
        assert!(parse("--fast").unwrap_err().to_string().contains("--fast"));
        assert!(parse("--rounds 0").is_err());
        assert!(parse("--depths 1,0").is_err());
        assert!(parse("--depths deep").is_err());
        assert!(parse("--json").is_err());
    }
}
