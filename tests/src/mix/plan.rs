//! What a seed draws.
//!
//! Contract: pure; the same seed gives the same plan. Even seeds are meant to be guilty, odd ones innocent.

use std::fmt;

use crate::slow_disk::command::Setting;
use crate::slow_disk::delay::Random;
use crate::slow_disk::{Delay, LockMode, Op};

/// The window of the agent.
pub const WINDOW_MS: u64 = 6_000;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// What one that waits does, one request at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    Reader,
    Writer,
    /// A write and an fdatasync.
    Syncer,
    /// Reads and writes.
    Both,
}

/// One that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub pattern: Pattern,
    /// Bytes of its requests, by which the disk's log tells them from others'.
    pub bytes: u64,
    /// Requests between pauses.
    pub burst: u64,
    pub pause_ms: u64,
}

/// One that fills the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filler {
    pub writes: bool,
    pub depth: u32,
    pub bytes: u64,
    pub per_second: u32,
}

/// A trim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrimPlan {
    /// After the agent's start; negative is before it.
    pub at_ms: i64,
    pub elsewhere: bool,
    pub renamed: bool,
    /// In a control group of its own, so that the loop driver's worker for all others does not wait for it.
    pub apart: bool,
    pub delay: Delay,
    pub most_bytes: u64,
}

/// A mix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    pub users: Vec<User>,
    pub filler: Option<Filler>,
    pub settings: Vec<Setting>,
    /// What changes in the window, and when.
    pub changes: Vec<(u64, Vec<Setting>)>,
    /// When the disk stands still, and how long.
    pub pause: Option<(u64, u64)>,
    pub trim: Option<TrimPlan>,
}

/// Whether a seed is meant to draw a trim that is to blame.
pub fn is_meant_guilty(seed: u64) -> bool {
    seed.is_multiple_of(2)
}

impl Plan {
    /// The mix of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut dice = Dice(Random::new(seed));
        let guilty = is_meant_guilty(seed);
        let trim = dice.trim(guilty);
        let harmless_but_slow = trim
            .as_ref()
            .is_some_and(|trim| !guilty && !trim.elsewhere && trim.apart);
        let users = dice.users(harmless_but_slow);
        let filler = if harmless_but_slow {
            None
        } else {
            dice.filler(guilty)
        };
        let lock = dice.lock(guilty, harmless_but_slow);
        let (settings, changes) = dice.disk(guilty, filler.is_some(), lock);
        let mut settings = settings;
        settings.push(Setting::Seed(seed));
        if let Some(trim) = trim.as_ref().filter(|trim| !trim.elsewhere) {
            settings.push(Setting::Delay(Op::Discard, trim.delay));
        }
        let pause = dice
            .one_in(6)
            .then(|| (dice.within(500, 5_000), dice.within(200, 1_500)));
        Self {
            seed,
            users,
            filler,
            settings,
            changes,
            pause,
            trim,
        }
    }
}

struct Dice(Random);

impl Dice {
    fn within(&mut self, lo: u64, hi: u64) -> u64 {
        lo + self.0.below(hi - lo + 1)
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.0.below(chances) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.0.below(choices.len() as u64) as usize]
    }

    /// Even in the logarithm.
    fn around(&mut self, lo: u64, hi: u64) -> u64 {
        let steps = 1_000;
        let share = self.0.below(steps) as f64 / steps as f64;
        (lo as f64 * (hi as f64 / lo as f64).powf(share)) as u64
    }

    fn delay(&mut self, lo_us: u64, hi_us: u64) -> Delay {
        let least = self.around(lo_us, hi_us);
        match self.0.below(3) {
            0 => Delay::constant(least),
            1 => Delay::uniform(least, least * 2),
            _ => Delay::heavy_tailed(least, least * 20),
        }
    }

    fn users(&mut self, only_readers: bool) -> Vec<User> {
        let names = ["etcd", "postgres", "kafka", "redis"];
        let count = self.within(1, 4) as usize;
        let user = |(number, name): (usize, &&str)| User {
            name: (*name).to_owned(),
            pattern: match only_readers {
                true => Pattern::Reader,
                false => self.of(&[
                    Pattern::Reader,
                    Pattern::Reader,
                    Pattern::Writer,
                    Pattern::Syncer,
                    Pattern::Both,
                ]),
            },
            // No two alike, and like nothing of the file system's.
            bytes: (number as u64 * 8 + 12) * KIB,
            burst: self.within(1, 8),
            pause_ms: self.within(2, 20),
        };
        names.iter().enumerate().take(count).map(user).collect()
    }

    fn filler(&mut self, guilty: bool) -> Option<Filler> {
        let there = self.one_in(if guilty { 4 } else { 2 });
        there.then(|| Filler {
            writes: !self.one_in(3),
            depth: self.around(2, 32) as u32,
            bytes: self.of(&[64 * KIB, 128 * KIB, 256 * KIB]),
            per_second: if guilty {
                self.within(20, 100)
            } else {
                self.within(50, 600)
            } as u32,
        })
    }

    fn lock(&mut self, guilty: bool, harmless_but_slow: bool) -> LockMode {
        use LockMode::{DiscardExclusive, Parallel, Serial};
        match (guilty, harmless_but_slow) {
            (true, _) => self.of(&[DiscardExclusive, DiscardExclusive, Serial]),
            (_, true) => Parallel,
            _ => self.of(&[Parallel, DiscardExclusive, Serial]),
        }
    }

    /// How the disk behaves at first, and what changes.
    fn disk(
        &mut self,
        guilty: bool,
        filled: bool,
        lock: LockMode,
    ) -> (Vec<Setting>, Vec<(u64, Vec<Setting>)>) {
        let slow = !guilty && self.one_in(3);
        let read = if slow {
            self.delay(8_000, 40_000)
        } else {
            self.delay(100, 1_500)
        };
        let write = match (slow, filled) {
            (true, _) => self.delay(5_000, 30_000),
            (_, true) => self.delay(500, 5_000),
            _ => self.delay(100, 2_000),
        };
        let mut settings = vec![
            Setting::Lock(lock),
            Setting::Delay(Op::Read, read),
            Setting::Delay(Op::Write, write),
            Setting::Delay(Op::Fsync, self.delay(200, 4_000)),
        ];
        if self.one_in(4) {
            settings.push(Setting::Width(self.within(1, 8) as usize));
        }
        let mut changes = Vec::new();
        if self.one_in(if guilty { 6 } else { 3 }) {
            let (from, lasts) = (self.within(500, 4_500), self.within(300, 3_000));
            let worse = vec![
                Setting::Delay(Op::Read, self.delay(5_000, 40_000)),
                Setting::Delay(Op::Write, self.delay(5_000, 40_000)),
            ];
            changes.push((from, worse));
            let back = vec![
                Setting::Delay(Op::Read, read),
                Setting::Delay(Op::Write, write),
            ];
            changes.push((from + lasts, back));
        }
        (settings, changes)
    }

    fn trim(&mut self, guilty: bool) -> Option<TrimPlan> {
        let kind = self.0.below(4);
        let any = TrimPlan {
            at_ms: self.within(0, 3_500).cast_signed() - 1_000,
            elsewhere: false,
            renamed: self.one_in(3),
            apart: self.one_in(2),
            delay: Delay::default(),
            most_bytes: self.of(&[32 * MIB, 64 * MIB, 64 * MIB, 128 * MIB]),
        };
        if guilty {
            let delay = self.delay(25_000, 120_000);
            // A tail of twenty times as long would be a discard of seconds.
            let delay = Delay::uniform(delay.lo_us, delay.hi_us.min(delay.lo_us * 2));
            return Some(TrimPlan { delay, ..any });
        }
        match kind {
            0 => None,
            1 => Some(TrimPlan {
                elsewhere: true,
                delay: self.delay(10_000, 60_000),
                ..any
            }),
            2 => Some(TrimPlan {
                apart: true,
                delay: self.delay(5_000, 50_000),
                ..any
            }),
            _ => Some(TrimPlan {
                apart: false,
                delay: self.delay(30, 900),
                ..any
            }),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for user in &self.users {
            write!(
                f,
                "{} {:?} {}x{}K/{}ms, ",
                user.name,
                user.pattern,
                user.burst,
                user.bytes / KIB,
                user.pause_ms
            )?;
        }
        if let Some(filler) = &self.filler {
            let what = if filler.writes { "writes" } else { "reads" };
            write!(
                f,
                "bulk {what} {}K depth {} rate {}, ",
                filler.bytes / KIB,
                filler.depth,
                filler.per_second
            )?;
        }
        write!(f, "disk")?;
        self.settings
            .iter()
            .try_for_each(|setting| write!(f, " {setting}"))?;
        for (at, settings) in &self.changes {
            write!(f, ", at {at} ms")?;
            settings
                .iter()
                .try_for_each(|setting| write!(f, " {setting}"))?;
        }
        if let Some((at, lasts)) = self.pause {
            write!(f, ", still at {at} ms for {lasts} ms")?;
        }
        match &self.trim {
            None => write!(f, ", no trim"),
            Some(trim) => write!(
                f,
                ", trim at {} ms{}{} {} MiB {} us",
                trim.at_ms,
                if trim.elsewhere { " elsewhere" } else { "" },
                if trim.apart { " apart" } else { "" },
                trim.most_bytes / MIB,
                trim.delay
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_again_and_another_one_another() {
        for seed in 0..200 {
            assert_eq!(Plan::draw(seed), Plan::draw(seed));
            assert_ne!(Plan::draw(seed), Plan::draw(seed + 1));
        }
    }

    #[test]
    fn users_differ_in_the_size_of_their_requests() {
        for seed in 0..200 {
            let plan = Plan::draw(seed);
            let mut sizes: Vec<u64> = plan.users.iter().map(|user| user.bytes).collect();
            sizes.extend(plan.filler.iter().map(|filler| filler.bytes));
            sizes.sort_unstable();
            sizes.dedup();
            assert_eq!(sizes.len(), plan.users.len() + plan.filler.iter().count());
        }
    }

    #[test]
    fn everything_is_drawn_sometimes() {
        let plans: Vec<Plan> = (0..400).map(Plan::draw).collect();
        let some =
            |is: fn(&Plan) -> bool| assert!(plans.iter().filter(|plan| is(plan)).count() > 10);
        some(|plan| plan.trim.is_none());
        some(|plan| plan.filler.is_some());
        some(|plan| plan.pause.is_some());
        some(|plan| !plan.changes.is_empty());
        some(|plan| plan.trim.as_ref().is_some_and(|trim| trim.elsewhere));
        some(|plan| plan.trim.as_ref().is_some_and(|trim| trim.at_ms < 0));
    }
}
