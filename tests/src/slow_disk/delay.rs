//! How long an operation takes: a constant, a uniform or a heavy-tailed distribution, and a share per MiB.
//!
//! Contract: text and value round-trip (`200`, `200..400`, `200~40000`, `200..400+100/MiB`,
//! microseconds); the same seed draws the same times.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, Error, ensure};

const NS_PER_US: u64 = 1000;
const MIB: u64 = 1 << 20;

/// How times spread between the least and the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// Each as likely as any other.
    #[default]
    Uniform,
    /// Pareto's with exponent 1, bounded: half of them below twice the least, one in a hundred
    /// beyond a hundred times the least.
    HeavyTailed,
}

/// A service time between `lo_us` and `hi_us`, plus `us_per_mib` for each MiB of length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    pub lo_us: u64,
    pub hi_us: u64,
    pub us_per_mib: u64,
    pub shape: Shape,
}

impl Delay {
    /// Always the same time.
    pub const fn constant(us: u64) -> Self {
        Self::uniform(us, us)
    }

    /// Uniform between both, inclusive.
    pub const fn uniform(lo_us: u64, hi_us: u64) -> Self {
        Self {
            lo_us,
            hi_us,
            us_per_mib: 0,
            shape: Shape::Uniform,
        }
    }

    /// Mostly near the least, now and then near the most.
    pub const fn heavy_tailed(lo_us: u64, hi_us: u64) -> Self {
        Self {
            shape: Shape::HeavyTailed,
            ..Self::uniform(lo_us, hi_us)
        }
    }

    /// With a share that grows with the operation's length.
    pub const fn per_mib(self, us_per_mib: u64) -> Self {
        Self { us_per_mib, ..self }
    }

    /// One service time in nanoseconds, for an operation of `length` bytes.
    pub fn draw_ns(&self, length: u64, random: &mut Random) -> u64 {
        let (lo, hi) = (self.lo_us * NS_PER_US, self.hi_us * NS_PER_US);
        let drawn = random.below(hi - lo + 1);
        let base = match self.shape {
            Shape::Uniform => lo + drawn,
            Shape::HeavyTailed => pareto(lo, hi, drawn),
        };
        base + self.us_per_mib * NS_PER_US * length / MIB
    }
}

/// From a uniform draw in `0..=hi - lo`; `hi` is reached by the last of them.
fn pareto(lo: u64, hi: u64, drawn: u64) -> u64 {
    let product = u128::from(lo) * u128::from(hi);
    let time = product / u128::from(hi - drawn).max(1);
    // At most `hi`, as `hi - drawn` is at least `lo`.
    u64::try_from(time).unwrap_or(hi)
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.lo_us)?;
        if self.hi_us != self.lo_us {
            let between = match self.shape {
                Shape::Uniform => "..",
                Shape::HeavyTailed => "~",
            };
            write!(f, "{between}{}", self.hi_us)?;
        }
        if self.us_per_mib != 0 {
            write!(f, "+{}/MiB", self.us_per_mib)?;
        }
        Ok(())
    }
}

impl FromStr for Delay {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (range, per_mib) = match text.split_once('+') {
            Some((range, share)) => (range, share.strip_suffix("/MiB").context("not `+N/MiB`")?),
            None => (text, "0"),
        };
        let delay = match range.split_once('~') {
            Some((lo, hi)) => Self::heavy_tailed(microseconds(lo)?, microseconds(hi)?),
            None => {
                let (lo, hi) = range.split_once("..").unwrap_or((range, range));
                Self::uniform(microseconds(lo)?, microseconds(hi)?)
            }
        };
        ensure!(delay.lo_us <= delay.hi_us, "`{text}` goes downwards");
        Ok(delay.per_mib(microseconds(per_mib)?))
    }
}

fn microseconds(text: &str) -> Result<u64, Error> {
    text.parse()
        .with_context(|| format!("`{text}` is not a number of microseconds"))
}

/// A small deterministic generator (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator whose draws depend on the seed alone.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in `0..bound`; 0 when the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        for text in [
            "0",
            "200",
            "200..400",
            "5+80/MiB",
            "1..2+3/MiB",
            "2~900+1/MiB",
        ] {
            assert_eq!(text.parse::<Delay>().unwrap().to_string(), text);
        }
        for text in ["", "x", "400..200", "-1", "5+80", "1..2..3", "9~2", "1~2~3"] {
            assert!(text.parse::<Delay>().is_err(), "{text}");
        }
    }

    #[test]
    fn draws_stay_within_bounds_and_reach_both_halves() {
        let mut random = Random::new(1);
        let delay = Delay::uniform(200, 400);
        let draws: Vec<u64> = (0..1000).map(|_| delay.draw_ns(0, &mut random)).collect();
        assert!(draws.iter().all(|ns| (200_000..=400_000).contains(ns)));
        let mean = draws.iter().sum::<u64>() / 1000;
        assert!((290_000..310_000).contains(&mean), "{mean}");
    }

    #[test]
    fn a_heavy_tail_is_mostly_short_and_now_and_then_long() {
        let mut random = Random::new(1);
        let delay = Delay::heavy_tailed(200, 40_000);
        let draws: Vec<u64> = (0..10_000).map(|_| delay.draw_ns(0, &mut random)).collect();
        assert!(draws.iter().all(|ns| (200_000..=40_000_000).contains(ns)));
        let beyond = |ns: u64| draws.iter().filter(|draw| **draw > ns).count();
        assert!((4_700..5_300).contains(&beyond(400_000)));
        assert!((60..200).contains(&beyond(16_000_000)));
        assert_eq!(Delay::heavy_tailed(0, 0).draw_ns(0, &mut random), 0);
    }

    #[test]
    fn length_is_charged_per_mib() {
        let delay = Delay::constant(10).per_mib(1000);
        assert_eq!(delay.draw_ns(MIB / 2, &mut Random::new(0)), 510_000);
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let (mut a, mut b) = (Random::new(7), Random::new(7));
        assert!((0..100).all(|_| a.below(1000) == b.below(1000)));
    }
}
