//! The checks, in order.

use std::fs;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use super::outcome::{AGENT, Outcome};
use super::system::word;
use super::{disturbed, hang, incident, iscsi, requeue, rules, stack, suspended};

/// One of each kind with ext4, and one with XFS.
pub const DISKS: &[&str] = &["vda", "nvme0n1", "sda", "vdb"];

/// Something that is looked at.
pub struct Check {
    pub name: String,
    /// Part of the short form.
    short: bool,
    /// Not for kernels that are refused.
    pub traces: bool,
    pub run: Box<dyn Fn() -> Result<Outcome>>,
}

impl Check {
    fn new(name: &str, short: bool, run: impl Fn() -> Result<Outcome> + 'static) -> Self {
        Self {
            name: name.to_owned(),
            short,
            traces: true,
            run: Box::new(run),
        }
    }

    fn anywhere(self) -> Self {
        Self {
            traces: false,
            ..self
        }
    }
}

/// Those the command line asks for: all, the short form, or those whose name has one of some texts in it; but for one that
/// another machine runs.
pub fn asked_for() -> Vec<Check> {
    let mut checks = all();
    let but = word("stall.but").unwrap_or_default();
    checks.retain(|check| check.name != but);
    match word("stall.checks").as_deref() {
        None | Some("all") => {}
        Some("short") => checks.retain(|check| check.short),
        Some(texts) => checks.retain(|check| {
            let name = check.name.replace(' ', "-");
            texts.split(',').any(|text| name.contains(text))
        }),
    }
    checks
}

/// All of them. What never ends comes last.
fn all() -> Vec<Check> {
    vec![
        Check::new("check", true, check).anywhere(),
        Check::new("requests of a filesystem", true, || {
            rules::filesystem("vda")
        }),
        Check::new("requests of a disk", true, || rules::operations("nvme0n1")),
        Check::new("merged requests", true, || rules::merged("sda")),
        Check::new("requests in parts", true, requeue::in_parts),
        Check::new("time in D", true, hang::time_in_d),
        Check::new("unfinished requests", true, hang::unfinished),
        Check::new("a disk that recovers", true, hang::recovers),
        Check::new("older than the trace", false, || {
            incident::from_before("vda")
        }),
        Check::new("devices on devices", true, || stack::mapped("sda")),
        Check::new("a stepped clock", true, disturbed::clock_stepped),
        Check::new("a CPU taken out", false, disturbed::cpu_taken_out),
        Check::new("a renamed disk", true, disturbed::disk_renamed),
        Check::new("incident on virtio", true, || {
            incident::stage("vda", "ext4")
        }),
        Check::new("incident on nvme", false, || {
            incident::stage("nvme0n1", "ext4")
        }),
        Check::new("incident on scsi", false, || incident::stage("sda", "ext4")),
        Check::new("incident on xfs", false, || incident::stage("vdb", "xfs")),
        Check::new("incident below iscsi", true, || iscsi::volume("vda")),
        Check::new("requeued for ever", true, requeue::for_ever),
        Check::new("kept in memory", true, kept_in_memory),
        // On x86 in a machine of its own.
        Check::new("suspended", false, suspended::suspended),
        Check::new("nothing is left", true, nothing_left).anywhere(),
    ]
}

/// Why this kernel cannot be traced, as `check` has it; nothing where it can.
pub fn unfit() -> Option<String> {
    let output = agent(&["check", "--format", "json"]).ok()?;
    if output.status.success() {
        return None;
    }
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let capabilities = found["capabilities"].as_array().into_iter().flatten();
    let lacking = capabilities.filter(|one| one["required"] == true && one["state"] != "ok");
    let reasons = lacking.map(|one| format!("{}: {}", one["name"], one["found"]).replace('"', ""));
    Some(reasons.collect::<Vec<_>>().join("; "))
}

/// Runs the agent to its end.
pub fn agent(words: &[&str]) -> Result<Output> {
    let output = Command::new(AGENT).args(words).output();
    output.context("the agent does not start")
}

/// `check` says what is covered, and agrees with what a trace then attaches (which [`incident`] shows). A kernel that
/// is refused is refused in one sentence.
fn check() -> Result<Outcome> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    if let Some(why) = unfit() {
        let trace = agent(&["trace", "--duration", "1s"])?;
        let error = String::from_utf8_lossy(&trace.stderr);
        ensure!(!trace.status.success(), "check refuses, trace does not");
        ensure!(
            error.trim().lines().count() == 1,
            "not one sentence: {error}"
        );
        return Ok(Outcome::Passed(format!(
            "{}: refused: {why}",
            release.trim()
        )));
    }
    let output = agent(&["check", "--format", "json"])?;
    let found: Value = serde_json::from_slice(&output.stdout).context("check is not JSON")?;
    let items = found["capabilities"].as_array().map_or(0, Vec::len);
    Ok(Outcome::Passed(format!(
        "{}: {items} capabilities",
        release.trim()
    )))
}

/// A report that nobody takes is kept, by the static program as by another one: it has its system calls from another library.
fn kept_in_memory() -> Result<Outcome> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let mut command = Command::new(AGENT);
    command.args(["trace", "--duration", "1s"]).stdout(writer);
    let output = command.stderr(Stdio::piped()).spawn()?.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    let place = said.split("it is kept in ").nth(1).map(str::trim);
    let place = place.with_context(|| format!("{}: {said}", output.status))?;
    let text = fs::read(place).with_context(|| format!("reading {place}"))?;
    let report: Value = serde_json::from_slice(&text).context("it is not JSON")?;
    ensure!(report["schema"].is_string(), "it is no report");
    fs::remove_file(place)?;
    Ok(Outcome::Passed(place.to_owned()))
}

/// No process of the agent's.
fn nothing_left() -> Result<Outcome> {
    let mut left = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let comm = fs::read_to_string(path.join("comm")).unwrap_or_default();
        if comm.trim() == "stall-agent" {
            left.push(path.display().to_string());
        }
    }
    ensure!(left.is_empty(), "still there: {left:?}");
    Ok(Outcome::Passed("no process".to_owned()))
}
