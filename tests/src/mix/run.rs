//! Plays mixes until there are enough of each kind.
//!
//! Contract: seeds are taken in order; a label of which there are enough is not aimed at any more. Ends when
//! there are enough, or after four times as many as are wanted.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context as _, Result, ensure};

use super::options::Options;
use super::plan::{Plan, is_meant_guilty};
use super::stage::{Outcome, play};
use super::table::Table;

/// What the threads share.
struct Shared<'a> {
    options: &'a Options,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    table: Table,
}

/// Plays them all; each outcome is told on stderr as it comes.
pub fn run(options: &Options) -> Result<Table> {
    if let Some(folder) = &options.keep {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let shared = Shared {
        options,
        state: Mutex::new(State {
            next: options.only.unwrap_or(options.seed),
            ..State::default()
        }),
    };
    thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| shared.work());
        }
    });
    let table = shared
        .state
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .table;
    ensure!(
        options.only.is_some() || table.broken.len() * 10 <= options.count,
        "{} mixes could not be staged: {:?}",
        table.broken.len(),
        table.broken.first()
    );
    Ok(table)
}

impl Shared<'_> {
    fn work(&self) {
        while let Some(seed) = self.take() {
            let capture = self.capture(seed);
            let result = play(&Plan::draw(seed), &self.options.agent, capture.as_deref());
            let wrong = self.enter(seed, result);
            if let Some(file) = capture.filter(|_| !wrong && self.options.only.is_none()) {
                // It may not have been written.
                let _ = std::fs::remove_file(file);
            }
        }
    }

    fn capture(&self, seed: u64) -> Option<PathBuf> {
        let folder = self.options.keep.as_ref()?;
        Some(folder.join(format!("mix_{seed}.json")))
    }

    /// The next seed that is wanted.
    fn take(&self) -> Option<u64> {
        let Options {
            count, seed, only, ..
        } = self.options;
        let mut state = self.state();
        if let Some(only) = only {
            let is_first = state.next == *only;
            state.next = only.wrapping_add(1);
            return is_first.then_some(*only);
        }
        loop {
            let (innocent, guilty) = (state.table.innocent.len(), state.table.guilty.len());
            let over = state.next - seed > 8 * *count as u64;
            if over || (innocent >= *count && guilty >= *count) {
                return None;
            }
            let next = state.next;
            state.next += 1;
            let there = if is_meant_guilty(next) {
                guilty
            } else {
                innocent
            };
            if there < *count {
                return Some(next);
            }
        }
    }

    fn enter(&self, seed: u64, result: Result<Outcome>) -> bool {
        let mut state = self.state();
        match result {
            Ok(outcome) => {
                eprintln!("{outcome}");
                state.table.enter(outcome, self.options.count)
            }
            Err(error) => {
                eprintln!("seed {seed} was not staged: {error:#}");
                state.table.broken.push((seed, format!("{error:#}")));
                false
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
