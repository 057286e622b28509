//! One scenario: the agent's run, what it must say, and the capture kept where that is asked for.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use stall_agent::report::Report;
use stall_agent::report::model::{Confidence, Hypothesis, Kind, Standing, Verdict};
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::note;
use crate::harness::seen::Trace;

/// Names the folder in which captures are kept.
const KEEP: &str = "STALL_KEEP_CAPTURES";

/// The shortest window that allows `high`, and a little.
pub(crate) const WINDOW: Duration = Duration::from_millis(6_000);

/// A run of the agent with a name.
pub(crate) struct Scene {
    name: &'static str,
    agent: Agent,
    window: Duration,
}

impl Scene {
    /// On one disk.
    pub(crate) fn on(name: &'static str, disk: &StagedDisk) -> Self {
        Self {
            name,
            agent: Agent::on(disk),
            window: WINDOW,
        }
    }

    /// And on another one.
    pub(crate) fn and(self, disk: &StagedDisk) -> Self {
        Self {
            agent: self.agent.with("--device", disk.name()),
            ..self
        }
    }

    /// With a window of another length.
    pub(crate) fn lasting(self, window: Duration) -> Self {
        Self { window, ..self }
    }

    /// Traces for the window, during which something is done.
    pub(crate) fn play<T>(self, act: impl FnOnce() -> Result<T>) -> Result<(Played, T)> {
        let duration = format!("{}ms", self.window.as_millis());
        let tracing = self.agent.with("--duration", &duration).start()?;
        let done = act()?;
        let trace = tracing.finish()?;
        let played = Played {
            name: self.name,
            trace,
        };
        played.keep()?;
        Ok((played, done))
    }
}

/// A scenario that has been traced.
pub(crate) struct Played {
    name: &'static str,
    pub(crate) trace: Trace,
}

impl Played {
    fn keep(&self) -> Result<()> {
        let Some(file) = kept(self.name, "json")? else {
            return Ok(());
        };
        let file = BufWriter::new(File::create(&file)?);
        serde_json::to_writer(file, &self.trace.capture).context("keeping the capture")
    }

    /// Checks the verdict; what it must say is kept beside the capture.
    pub(crate) fn must(&self, must: &Must<'_>) -> Result<()> {
        let report = &self.trace.report;
        note!("{}: {}", self.name, told(report));
        must.check(&report.verdict).with_context(|| told(report))?;
        let Some(file) = kept(self.name, "verdict")? else {
            return Ok(());
        };
        let verdict = &report.verdict;
        let expected = json!({
            "kind": verdict.kind,
            "confidence": verdict.confidence,
            "device": verdict.device,
            "culprits": names(verdict),
        });
        fs::write(file, expected.to_string()).context("keeping the verdict")
    }

    /// The names of the culprits, in order.
    pub(crate) fn culprits(&self) -> Vec<&str> {
        names(&self.trace.report.verdict)
    }

    /// What the verdict says of an explanation on a disk.
    pub(crate) fn hypothesis(&self, kind: Kind, disk: &StagedDisk) -> Result<&Hypothesis> {
        let mut all = self.trace.report.verdict.hypotheses.iter();
        all.find(|one| one.kind == kind && one.device.as_deref() == Some(disk.name()))
            .with_context(|| format!("{kind:?} on {} was not weighed", disk.name()))
    }

    /// Checks that a trim was weighed, and acquitted with its numbers.
    pub(crate) fn acquits_the_trim(&self, disk: &StagedDisk) -> Result<()> {
        let trim = self.hypothesis(Kind::HostTrim, disk)?;
        ensure!(
            trim.standing == Standing::Refuted,
            "the trim is {:?}: {:?} {:?}",
            trim.standing,
            trim.evidence_for,
            trim.evidence_against
        );
        let numbers = trim
            .evidence_against
            .iter()
            .filter(|one| one.value.is_some());
        ensure!(numbers.count() > 0, "it is acquitted without a number");
        Ok(())
    }
}

fn kept(name: &str, ending: &str) -> Result<Option<PathBuf>> {
    let Some(folder) = std::env::var_os(KEEP).map(PathBuf::from) else {
        return Ok(None);
    };
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(Some(folder.join(format!("{name}.{ending}"))))
}

/// The names of the culprits' processes, in order.
fn names(verdict: &Verdict) -> Vec<&str> {
    let culprits = verdict.culprits.iter();
    culprits
        .map(|culprit| {
            let process = culprit.process.as_ref();
            process.map_or(culprit.label.as_str(), |process| process.comm.as_str())
        })
        .collect()
}

fn told(report: &Report) -> String {
    let verdict = &report.verdict;
    let weighed = verdict.hypotheses.iter();
    let weighed: Vec<String> = weighed
        .map(|one| {
            format!(
                "{:?} on {:?}: {:?} {:?}",
                one.kind, one.device, one.standing, one.confidence
            )
        })
        .collect();
    format!(
        "{:?} {:?} on {:?}, {:?}: {} [{}]",
        verdict.kind,
        verdict.confidence,
        verdict.device,
        names(verdict),
        verdict.sentence,
        weighed.join("; ")
    )
}

/// What a verdict must be.
#[derive(Debug)]
pub(crate) struct Must<'a> {
    kind: Kind,
    least: Option<Confidence>,
    most: Option<Confidence>,
    device: Option<&'a str>,
    culprits: &'a [&'a str],
}

impl<'a> Must<'a> {
    /// Of this kind, with nobody to blame.
    pub(crate) fn be(kind: Kind) -> Self {
        Self {
            kind,
            least: None,
            most: None,
            device: None,
            culprits: &[],
        }
    }

    /// On this disk.
    pub(crate) fn on(self, disk: &'a StagedDisk) -> Self {
        Self {
            device: Some(disk.name()),
            ..self
        }
    }

    /// With these to blame, in this order.
    pub(crate) fn by(self, culprits: &'a [&'a str]) -> Self {
        Self { culprits, ..self }
    }

    /// At least so sure.
    pub(crate) fn at_least(self, confidence: Confidence) -> Self {
        Self {
            least: Some(confidence),
            ..self
        }
    }

    /// At most so sure.
    pub(crate) fn at_most(self, confidence: Confidence) -> Self {
        Self {
            most: Some(confidence),
            ..self
        }
    }

    pub(crate) fn check(&self, verdict: &Verdict) -> Result<()> {
        ensure!(verdict.kind == self.kind, "it must be {:?}", self.kind);
        let sure = verdict.confidence;
        ensure!(
            self.least.is_none() || sure >= self.least,
            "it must be at least {:?}",
            self.least
        );
        ensure!(
            self.most.is_none() || sure <= self.most,
            "it must be at most {:?}",
            self.most
        );
        let device = verdict.device.as_deref();
        ensure!(
            self.device.is_none() || device == self.device,
            "it must be on {:?}",
            self.device
        );
        ensure!(
            names(verdict) == self.culprits,
            "the culprits must be {:?}",
            self.culprits
        );
        Ok(())
    }
}
