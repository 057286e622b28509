//! The lines that change the disk while it runs.
//!
//! Contract: one command a line; parsing is pure, text and value round-trip.
//!
//! ```text
//! set read_us=200 write_us=200..400 discard_us=30000+5/MiB lock=1 width=0 seed=7
//! hang OP [COUNT]     the next COUNT (default: all) stay in service until released
//! release [OP]        ends hangs, present and to come
//! fail OP [COUNT]     the next COUNT (default: all) end with EIO after their time
//! pass [OP]           ends failing
//! short [COUNT]       the next COUNT (default: all) reads return half, so that loop requeues them
//! hurry               nothing waits, hangs or fails any more (before taking down)
//! at MS COMMAND       runs the command MS milliseconds from now
//! status              answers `ok operations=N unfinished=N hanging=N`
//! dump PATH           writes the log
//! attach PATH         a loop device or mount that stands on the disk (see `orphan`)
//! quit
//! ```

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, bail};

use super::delay::Delay;
use super::gate::LockMode;
use super::op::Op;

/// One setting of `set`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    Delay(Op, Delay),
    Lock(LockMode),
    Width(usize),
    Seed(u64),
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Set(Vec<Setting>),
    Hang(Op, u64),
    Release(Option<Op>),
    Fail(Op, u64),
    Pass(Option<Op>),
    Short(u64),
    Hurry,
    At(Duration, Box<Command>),
    Status,
    Dump(PathBuf),
    Attach(PathBuf),
    Quit,
}

/// The count that means "all of them".
pub const ALL: u64 = u64::MAX;

impl FromStr for Setting {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (key, value) = text.split_once('=').context("settings are KEY=VALUE")?;
        if let Some(op) = key.strip_suffix("_us") {
            return Ok(Self::Delay(op.parse()?, value.parse()?));
        }
        match key {
            "lock" => Ok(Self::Lock(value.parse()?)),
            "width" => Ok(Self::Width(value.parse()?)),
            "seed" => Ok(Self::Seed(value.parse()?)),
            _ => bail!("no setting is called `{key}`"),
        }
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(op, delay) => write!(f, "{op}_us={delay}"),
            Self::Lock(mode) => write!(f, "lock={}", mode.number()),
            Self::Width(width) => write!(f, "width={width}"),
            Self::Seed(seed) => write!(f, "seed={seed}"),
        }
    }
}

impl FromStr for Command {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let line = line.trim();
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "set" => Ok(Self::Set(settings(rest)?)),
            "hang" => op_and_count(rest).map(|(op, count)| Self::Hang(op, count)),
            "release" => Ok(Self::Release(optional_op(rest)?)),
            "fail" => op_and_count(rest).map(|(op, count)| Self::Fail(op, count)),
            "pass" => Ok(Self::Pass(optional_op(rest)?)),
            "short" => Ok(Self::Short(count(rest)?)),
            "hurry" => Ok(Self::Hurry),
            "at" => at(rest),
            "status" => Ok(Self::Status),
            "dump" => Ok(Self::Dump(path(rest)?)),
            "attach" => Ok(Self::Attach(path(rest)?)),
            "quit" => Ok(Self::Quit),
            _ => bail!("no command is called `{word}`"),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(settings) => {
                f.write_str("set")?;
                settings.iter().try_for_each(|s| write!(f, " {s}"))
            }
            Self::Hang(op, count) => write_counted(f, "hang", *op, *count),
            Self::Release(op) => write_optional(f, "release", *op),
            Self::Fail(op, count) => write_counted(f, "fail", *op, *count),
            Self::Pass(op) => write_optional(f, "pass", *op),
            Self::Short(ALL) => f.write_str("short"),
            Self::Short(count) => write!(f, "short {count}"),
            Self::Hurry => f.write_str("hurry"),
            Self::At(delay, command) => write!(f, "at {} {command}", delay.as_millis()),
            Self::Status => f.write_str("status"),
            Self::Dump(path) => write!(f, "dump {}", path.display()),
            Self::Attach(path) => write!(f, "attach {}", path.display()),
            Self::Quit => f.write_str("quit"),
        }
    }
}

fn write_counted(f: &mut fmt::Formatter<'_>, word: &str, op: Op, count: u64) -> fmt::Result {
    match count {
        ALL => write!(f, "{word} {op}"),
        count => write!(f, "{word} {op} {count}"),
    }
}

fn write_optional(f: &mut fmt::Formatter<'_>, word: &str, op: Option<Op>) -> fmt::Result {
    match op {
        Some(op) => write!(f, "{word} {op}"),
        None => f.write_str(word),
    }
}

fn settings(text: &str) -> Result<Vec<Setting>> {
    text.split_whitespace().map(str::parse).collect()
}

fn op_and_count(text: &str) -> Result<(Op, u64)> {
    let (op, rest) = text.split_once(' ').unwrap_or((text, ""));
    Ok((op.parse()?, count(rest)?))
}

fn count(text: &str) -> Result<u64> {
    match text {
        "" => Ok(ALL),
        number => Ok(number.parse()?),
    }
}

fn optional_op(text: &str) -> Result<Option<Op>> {
    match text {
        "" => Ok(None),
        op => Ok(Some(op.parse()?)),
    }
}

fn at(text: &str) -> Result<Command> {
    let (ms, command) = text.split_once(' ').context("at MS COMMAND")?;
    let delay = Duration::from_millis(ms.parse()?);
    Ok(Command::At(delay, Box::new(command.parse()?)))
}

fn path(text: &str) -> Result<PathBuf> {
    if text.is_empty() {
        bail!("a path is missing");
    }
    Ok(PathBuf::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_round_trip() {
        for line in [
            "set read_us=200 write_us=200..400 lock=1 width=4 seed=9",
            "hang discard",
            "hang read 3",
            "release",
            "release fsync",
            "fail write 1",
            "pass",
            "short",
            "short 2",
            "hurry",
            "at 500 hang discard 1",
            "status",
            "dump /tmp/a log",
            "attach /dev/loop3",
            "quit",
        ] {
            assert_eq!(line.parse::<Command>().unwrap().to_string(), line);
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for line in [
            "",
            "stop",
            "set read=1",
            "set lock=3",
            "hang",
            "hang trim",
            "fail read x",
            "at 5",
            "dump",
        ] {
            assert!(line.parse::<Command>().is_err(), "{line}");
        }
    }
}
