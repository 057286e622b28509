//! A test: its name, what it needs, what it does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Result;
use libtest_mimic::{Completion, Failed, Trial};

use super::notes::note;
use super::numbers::Apart;
use super::round;
use super::skip::{Need, Skip};

const ATTEMPTS: usize = 3;

/// A trace of this attempt missed events.
static BLIND: AtomicBool = AtomicBool::new(false);

/// A test.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    name: &'static str,
    needs: &'static [Need],
    /// Names the variable of the environment without which it is skipped.
    only_with: Option<&'static str>,
    /// Of random numbers; the first is 0.
    round: u64,
    run: fn() -> Result<()>,
}

impl Test {
    /// One that needs no more than all do.
    pub(crate) const fn new(name: &'static str, run: fn() -> Result<()>) -> Self {
        Self {
            name,
            needs: &[],
            only_with: None,
            round: 0,
            run,
        }
    }

    /// One that is skipped where something is missing.
    pub(crate) const fn needs(self, needs: &'static [Need]) -> Self {
        Self { needs, ..self }
    }

    /// One that takes long, and is run on request.
    pub(crate) const fn only_with(self, variable: &'static str) -> Self {
        Self {
            only_with: Some(variable),
            ..self
        }
    }

    /// The same with other random numbers.
    pub(crate) const fn in_round(self, round: u64) -> Self {
        Self { round, ..self }
    }

    /// What libtest-mimic runs.
    pub(crate) fn trial(self, topic: &str) -> Trial {
        let mut name = format!("{topic}::{}", self.name);
        if self.round > 0 {
            name += &format!("_round_{}", self.round + 1);
        }
        Trial::ignorable_test(name.clone(), move || self.complete(&name))
    }

    fn complete(&self, name: &str) -> Result<Completion, Failed> {
        if let Some(reason) = super::skip::lacking(self.needs) {
            return Ok(Completion::ignored_with(reason));
        }
        let is_missing = |variable: &&str| std::env::var_os(variable).is_none();
        if let Some(variable) = self.only_with.filter(is_missing) {
            return Ok(Completion::ignored_with(format!("{variable} is not set")));
        }
        let begin = Instant::now();
        round::begin(self.round);
        let result = self.attempts();
        note!("{name} took {:.1} s", begin.elapsed().as_secs_f32());
        match result {
            Ok(()) => Ok(Completion::Completed),
            Err(error) => match error.downcast_ref::<Skip>() {
                Some(skip) => Ok(Completion::ignored_with(skip)),
                None => Err(format!("{error:#}").into()),
            },
        }
    }

    /// A failure is repeated when it proves nothing.
    fn attempts(&self) -> Result<()> {
        for _ in 1..ATTEMPTS {
            take_blind();
            match (self.run)() {
                Err(error) if proves_nothing(&error) => {
                    eprintln!("again: {}: {error:#}", self.name);
                }
                result => return result,
            }
        }
        (self.run)()
    }
}

/// That the kernel had kept events from the agent, as the agent itself says, or that times are apart which a busy machine keeps
/// apart.
fn proves_nothing(error: &anyhow::Error) -> bool {
    let is_blind = take_blind() && !error.is::<Skip>();
    is_blind || error.is::<Apart>()
}

/// Notes that a trace missed events.
pub(crate) fn was_blind() {
    BLIND.store(true, Ordering::Relaxed);
}

fn take_blind() -> bool {
    BLIND.swap(false, Ordering::Relaxed)
}
