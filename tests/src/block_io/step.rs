//! The text form of an I/O pattern, and doing it.
//!
//! Contract: `ACTION:OFFSET:LENGTH[:COUNT[:STRIDE]]` for read, write, discard, zero;
//! `sync[:COUNT]`; `sleep:MS`. Each request done is accounted for with the caller's own times.

use std::str::FromStr;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Error, Result, bail};

use super::direct::Direct;
use crate::clock::monotonic_ns;
use crate::slow_disk::{Op, OpRecord};

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Request(Op),
    Sleep,
}

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub action: Action,
    pub offset: u64,
    pub length: u64,
    pub count: u64,
    pub stride: u64,
}

impl Step {
    /// Does it, `count` times, each `stride` bytes further; enters each request in the account.
    pub fn run(&self, direct: &mut Direct, account: &mut Vec<OpRecord>) -> Result<()> {
        for turn in 0..self.count {
            let offset = self.offset + turn * self.stride;
            match self.action {
                Action::Request(op) => account.push(self.request(direct, op, offset)?),
                Action::Sleep => thread::sleep(Duration::from_millis(self.length)),
            }
        }
        Ok(())
    }

    fn request(&self, direct: &mut Direct, op: Op, offset: u64) -> Result<OpRecord> {
        let begin = monotonic_ns();
        match op {
            Op::Read => direct.read(offset, self.length as usize).map(drop)?,
            Op::Write => direct.write(offset, self.length as usize, 0xa5)?,
            Op::Discard => direct.discard(offset, self.length)?,
            Op::Zero => direct.zero(offset, self.length)?,
            Op::Fsync => direct.sync()?,
        }
        Ok(OpRecord {
            op,
            offset,
            length: self.length,
            arrival_ns: begin,
            start_ns: Some(begin),
            end_ns: Some(monotonic_ns()),
            errno: 0,
        })
    }

    fn ranged(op: Op, numbers: &[u64]) -> Result<Self> {
        let &[offset, length, ref rest @ ..] = numbers else {
            bail!("an offset and a length are needed");
        };
        Ok(Self {
            action: Action::Request(op),
            offset,
            length,
            count: rest.first().copied().unwrap_or(1),
            stride: rest.get(1).copied().unwrap_or(length),
        })
    }

    fn plain(action: Action, length: u64, count: u64) -> Self {
        Self {
            action,
            offset: 0,
            length,
            count,
            stride: 0,
        }
    }
}

impl FromStr for Step {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        let numbers = numbers(rest).with_context(|| format!("in `{text}`"))?;
        let first = numbers.first().copied();
        match word {
            "sync" => {
                let action = Action::Request(Op::Fsync);
                Ok(Self::plain(action, 0, first.unwrap_or(1)))
            }
            "sleep" => Ok(Self::plain(Action::Sleep, first.unwrap_or(0), 1)),
            op => Self::ranged(op.parse()?, &numbers),
        }
    }
}

fn numbers(text: &str) -> Result<Vec<u64>> {
    text.split(':')
        .filter(|number| !number.is_empty())
        .map(|number| {
            number
                .parse()
                .with_context(|| format!("`{number}` is no number"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read() {
        let step: Step = "read:4096:512:10:8192".parse().unwrap();
        assert_eq!(
            (step.action, step.offset),
            (Action::Request(Op::Read), 4096)
        );
        assert_eq!((step.count, step.stride), (10, 8192));
        let step: Step = "discard:0:65536".parse().unwrap();
        assert_eq!((step.count, step.stride), (1, 65536));
        assert_eq!("sync:3".parse::<Step>().unwrap().count, 3);
        assert_eq!("sleep:20".parse::<Step>().unwrap().length, 20);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "read", "read:1", "read:a:b", "trim:0:1"] {
            assert!(text.parse::<Step>().is_err(), "{text}");
        }
    }
}
