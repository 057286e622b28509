//! Chance that is the same in every run: all of it grows from the world's seed.

/// A stream of random numbers. What one part of a world draws never moves another part's stream.
#[derive(Clone, Debug)]
pub struct Dice(fastrand::Rng);

impl Dice {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Neighboring seeds must not give related streams.
        Self(fastrand::Rng::with_seed(mix(seed)))
    }

    /// The stream of a part that has numbers of its own.
    #[must_use]
    pub fn of(seed: u64, part: &[u64]) -> Self {
        let seed = part.iter().fold(mix(seed), |seed, number| {
            mix(seed ^ mix(number.wrapping_add(0x9e37_79b9_7f4a_7c15)))
        });
        Self(fastrand::Rng::with_seed(seed))
    }

    /// From 0 to 1, without 1.
    pub fn part(&mut self) -> f64 {
        self.0.f64()
    }

    /// Evenly from `low` to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.part()
    }

    /// From `low` to `high`, each factor as likely as any other of its size.
    pub fn log(&mut self, low: f64, high: f64) -> f64 {
        (low.ln() + (high.ln() - low.ln()) * self.part()).exp()
    }

    /// As [`Self::log`], in whole nanoseconds.
    pub fn time(&mut self, low: u64, high: u64) -> u64 {
        self.log(low as f64, high as f64) as u64
    }

    /// From `low` to `high`, both included.
    pub fn count(&mut self, low: u32, high: u32) -> u32 {
        self.0.u32(low..=high)
    }

    /// A whole number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0.u64(..end.max(1))
    }

    /// True with a probability.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.part() < probability
    }

    /// Exponentially distributed, with a mean; 0 for a mean of 0.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.part()).ln()
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.0.usize(..all.len())]
    }
}

/// SplitMix64's finalizer.
const fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
