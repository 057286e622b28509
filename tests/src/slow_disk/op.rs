//! The kinds of operation the slow disk knows.
//!
//! Contract: names round-trip. A WRITE_ZEROES that may unmap reaches a loop's file as a punched
//! hole, so the disk counts it as a discard; one that may not (`BLKZEROOUT`) is `Zero`.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, bail};

/// One kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Read,
    Write,
    Fsync,
    Discard,
    Zero,
}

impl Op {
    /// Every kind, in the order of their indices.
    pub const ALL: [Op; 5] = [Op::Read, Op::Write, Op::Fsync, Op::Discard, Op::Zero];

    /// A dense index for arrays with one element per kind.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The name used in commands and logs.
    pub fn name(self) -> &'static str {
        match self {
            Op::Read => "read",
            Op::Write => "write",
            Op::Fsync => "fsync",
            Op::Discard => "discard",
            Op::Zero => "zero",
        }
    }

    /// Whether a busy device does nothing else meanwhile (lock mode 1).
    pub fn is_exclusive(self) -> bool {
        matches!(self, Op::Discard | Op::Zero)
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Op {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match Op::ALL.into_iter().find(|op| op.name() == name) {
            Some(op) => Ok(op),
            None => bail!("no operation is called `{name}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_indices_round_trip() {
        for (index, op) in Op::ALL.into_iter().enumerate() {
            assert_eq!(op.index(), index);
            assert_eq!(op.name().parse::<Op>().unwrap(), op);
        }
        assert!("trim".parse::<Op>().is_err());
    }
}
