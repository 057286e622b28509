//! What was measured of the agent, and whether it stayed the same.
//!
//! Contract: pure but for taking a sample; judged alike whatever the length of the run.

use std::fmt;
use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Pid;
use serde_json::Value;

/// What memory may grow by from a fifth of the run on: what intervals may take in all (`collect::intervals` of the agent), and half
/// as much for all the rest and the allocator.
const GROWTH: u64 = 6 << 20;
/// Descriptors and threads come and go by so many.
const SOME: u64 = 6;
/// What is bounded on purpose, or is a kernel's way of leaving programs out.
const NO_LOSS: [&str; 6] = [
    "records_over_budget",
    "records_not_kept",
    "missed_completions",
    "missed_partial_completions",
    "missed_wakeups",
    "stack_walk_failed",
];
/// Of the clock that programs read the kernel says that it may be behind another CPU's (`ktime_get_mono_fast_ns`,
/// kernel/time/timekeeping.c): one request in so many may seem to end before it began.
const CLOCKS: (&str, u64) = ("negative_times", 1_000_000);

/// The agent at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub at: Duration,
    pub rss_bytes: u64,
    pub threads: u64,
    pub descriptors: u64,
}

/// What the load did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Done {
    pub programs: u64,
    pub programs_per_second: f64,
    pub disks: u64,
}

/// All of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    pub samples: Vec<Sample>,
    pub done: Done,
    /// Requests the agent counted.
    pub requests: u64,
    /// Losses by cause.
    pub losses: Vec<(String, u64)>,
}

impl Sample {
    /// Asks `/proc`.
    pub fn take(pid: Pid, at: Duration) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .context("the agent has ended before its time")?;
        let number = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let word = line.and_then(|line| line.split_whitespace().next());
            word.and_then(|word| word.parse::<u64>().ok())
                .with_context(|| format!("its status has no {key}"))
        };
        Ok(Self {
            at,
            rss_bytes: number("VmRSS:")? * 1024,
            threads: number("Threads:")?,
            descriptors: fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64,
        })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "after {} s: {:.1} MiB resident, {} threads, {} descriptors",
            self.at.as_secs(),
            self.rss_bytes as f64 / 1_048_576.0,
            self.threads,
            self.descriptors
        )
    }
}

impl Outcome {
    /// With what the agent's own report says.
    pub fn new(samples: Vec<Sample>, done: Done, report: &str) -> Result<Self> {
        let report: Value = serde_json::from_str(report).context("the report is not JSON")?;
        let causes = report["losses"]["causes"].as_array();
        let causes = causes.context("the report has no losses")?.iter();
        let losses = causes.filter_map(|row| {
            let cause = row["cause"].as_str()?.to_owned();
            Some((cause, row["count"].as_u64()?))
        });
        let devices = report["devices"].as_array().into_iter().flatten();
        let operations = devices.flat_map(|it| it["operations"].as_array().into_iter().flatten());
        Ok(Self {
            samples,
            done,
            requests: operations.filter_map(|it| it["ops"].as_u64()).sum(),
            losses: losses.collect(),
        })
    }

    /// Whether memory, threads and descriptors stayed, and nothing was lost.
    pub fn judge(&self) -> Result<()> {
        let early = self.samples.get(self.samples.len() / 5);
        let (early, last) = early.zip(self.samples.last()).context("no samples")?;
        let pairs = [
            ("memory", early.rss_bytes, last.rss_bytes, GROWTH),
            ("threads", early.threads, last.threads, SOME),
            ("descriptors", early.descriptors, last.descriptors, SOME),
        ];
        for (what, early, last, growth) in pairs {
            ensure!(last <= early + growth, "{what} grew from {early} to {last}");
        }
        let lost: Vec<_> = self.losses.iter().filter(|row| self.is_loss(row)).collect();
        ensure!(lost.is_empty(), "lost: {lost:?}");
        ensure!(self.requests > 0, "it saw nothing");
        Ok(())
    }

    fn is_loss(&self, (cause, count): &(String, u64)) -> bool {
        let few = cause == CLOCKS.0 && *count <= self.requests / CLOCKS.1;
        !few && !NO_LOSS.contains(&cause.as_str())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sample in self
            .samples
            .iter()
            .step_by(self.samples.len().div_ceil(6).max(1))
        {
            writeln!(f, "{sample}")?;
        }
        if let Some(last) = self.samples.last() {
            writeln!(f, "{last}")?;
        }
        writeln!(
            f,
            "{} programs started ({:.0} a second), {} disks came and went, {} requests seen",
            self.done.programs, self.done.programs_per_second, self.done.disks, self.requests
        )?;
        write!(f, "losses: {:?}", self.losses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(rss: impl Fn(u64) -> u64, losses: &[(&str, u64)]) -> Outcome {
        let sample = |number| Sample {
            at: Duration::from_secs(number),
            rss_bytes: rss(number) << 20,
            threads: 4,
            descriptors: 60,
        };
        Outcome {
            samples: (0..60).map(sample).collect(),
            requests: 1,
            losses: losses
                .iter()
                .map(|(cause, count)| ((*cause).to_owned(), *count))
                .collect(),
            ..Outcome::default()
        }
    }

    #[test]
    fn what_grows_or_is_lost_is_told() {
        assert!(outcome(|_| 20, &[]).judge().is_ok());
        assert!(
            outcome(|number| 20 + number / 30, &[("records_over_budget", 9)])
                .judge()
                .is_ok()
        );
        assert!(outcome(|number| 20 + number, &[]).judge().is_err());
        assert!(outcome(|_| 20, &[("uses_map_full", 1)]).judge().is_err());
        assert!(Outcome::default().judge().is_err());
        let behind = |count| Outcome {
            requests: 3_000_000,
            ..outcome(|_| 20, &[("negative_times", count)])
        };
        assert!(behind(3).judge().is_ok());
        assert!(behind(4).judge().is_err());
    }

    #[test]
    fn a_report_is_read() {
        let report = r#"{"losses":{"causes":[{"cause":"a","count":2}]},
            "devices":[{"operations":[{"ops":3},{"ops":4}]}]}"#;
        let outcome = Outcome::new(Vec::new(), Done::default(), report).unwrap();
        assert_eq!(
            (outcome.requests, outcome.losses),
            (7, vec![("a".to_owned(), 2)])
        );
        assert!(Outcome::new(Vec::new(), Done::default(), "{}").is_err());
    }

    #[test]
    fn this_process_can_be_sampled() {
        let sample = Sample::take(nix::unistd::getpid(), Duration::ZERO).unwrap();
        assert!(sample.rss_bytes > 0 && sample.threads > 0 && sample.descriptors > 2);
    }
}
