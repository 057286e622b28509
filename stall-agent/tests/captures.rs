//! Captures of real incidents on the staged disk, judged again without root: verdicts stay what they must be.
//!
//! Each was made by the agent on a real kernel (6.18, x86_64); names of the machine are taken out. What each must be
//! judged to be follows from how its incident was staged, and stands in `expected.json`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;

use serde::Deserialize;
use stall_agent::analysis::analyze;
use stall_agent::capture::{Capture, Loss};
use stall_agent::report::Report;
use stall_agent::report::model::{BlameRow, Confidence, Culprit, Kind};

/// What a capture must be judged to be.
#[derive(Debug, Deserialize)]
struct Expected {
    kind: Kind,
    confidence: Confidence,
    /// Names of the programs, in order; `null` where they depend on which worker ran.
    culprits: Option<Vec<String>>,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures")
}

fn expected() -> BTreeMap<String, Expected> {
    let text =
        fs::read(folder().join("expected.json")).expect("the table is kept with the captures");
    serde_json::from_slice(&text).expect("the table is JSON of this form")
}

fn capture(name: &str) -> Capture {
    let file = File::open(folder().join(format!("{name}.json"))).expect("each row has its capture");
    Capture::read(file).expect("it was written by a version of this format")
}

fn judged(name: &str) -> Report {
    analyze(&capture(name))
}

fn name(culprit: &Culprit) -> &str {
    let process = culprit.process.as_ref();
    process.map_or(culprit.label.as_str(), |process| process.comm.as_str())
}

fn sum(row: &BlameRow) -> u64 {
    let by: u64 = row.by.iter().map(|cell| cell.waited_ns).sum();
    row.fast_ns + row.device_ns + row.own_ns + row.unexplained_ns + by
}

#[test]
fn verdicts_are_what_the_incidents_were() {
    let mut wrong = Vec::new();
    for (case, must) in expected() {
        let verdict = judged(&case).verdict;
        let culprits: Vec<&str> = verdict.culprits.iter().map(name).collect();
        let same = (verdict.kind, verdict.confidence) == (must.kind, Some(must.confidence));
        if !same
            || must
                .culprits
                .as_ref()
                .is_some_and(|names| *names != culprits)
        {
            wrong.push(format!("{case}: {}; must be {must:?}", verdict.sentence));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_capture_has_a_row() {
    let table = expected();
    for entry in fs::read_dir(folder()).expect("there is a folder") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        assert!(name == "expected" || table.contains_key(&*name), "{name}");
    }
    assert!(table.len() >= 20, "{}", table.len());
}

/// Of each victim: what is attributed to others, on itself, on the device and on nobody is what it waited.
#[test]
fn every_row_of_blame_sums_to_what_was_waited() {
    let mut rows = 0;
    for case in expected().into_keys() {
        for blame in judged(&case).blame {
            for row in &blame.victims {
                assert_eq!(sum(row), row.waited_ns, "{case}: {row:?}");
                rows += 1;
            }
        }
    }
    assert!(rows > 20, "{rows}");
}

/// Half of the records lost, as the kernel would count it: one level less, and the same culprit.
#[test]
fn lost_records_lower_confidence() {
    let mut capture = capture("trim");
    let records = &mut capture.slow_requests;
    let all = records.len();
    let mut kept = false;
    records.retain(|_| {
        kept = !kept;
        kept
    });
    let lost = (all - records.len()) as u64;
    capture.loss.push(Loss {
        cause: stall_common::loss::Loss::RingFull.name().to_owned(),
        count: lost,
    });
    let verdict = analyze(&capture).verdict;
    assert_eq!(verdict.kind, Kind::HostTrim);
    assert_eq!(
        verdict.confidence,
        Some(Confidence::Medium),
        "{:?}",
        verdict.lowered
    );
}

/// The same slow disk, as one that a server stands behind, and with a disk of this host that is as slow: the layer rule.
#[test]
fn behind_a_slow_volume_is_its_server_unless_a_disk_here_is_slow() {
    let mut capture = capture("slow_disk");
    let name = capture.disks[0].name.clone();
    let facts = capture.disks[0].facts.as_mut().expect("it was looked at");
    facts.transport = Some("iscsi".to_owned());
    let verdict = analyze(&capture).verdict;
    assert_eq!(
        (verdict.kind, verdict.confidence, verdict.device.as_deref()),
        (
            Kind::UpstreamStorage,
            Some(Confidence::High),
            Some(name.as_str())
        ),
        "{}",
        verdict.sentence
    );
    let below = below(&mut capture);
    let verdict = analyze(&capture).verdict;
    assert_eq!(
        (verdict.kind, verdict.device.as_deref()),
        (Kind::SlowDevice, Some(below.as_str())),
        "{}",
        verdict.sentence
    );
}

/// The same slow disk, as a loop device whose file lies on a disk that is as slow.
#[test]
fn what_lies_on_a_slow_disk_is_not_slow_by_itself() {
    let mut capture = capture("slow_disk");
    let below = below(&mut capture);
    let disk = capture.disks.last_mut().expect("one was added");
    disk.minor += 77;
    let number = (disk.major, disk.minor);
    let facts = capture.disks[0].facts.as_mut().expect("it was looked at");
    facts.backing_device = Some(number);
    let report = analyze(&capture);
    let verdict = &report.verdict;
    assert_eq!(
        (verdict.kind, verdict.device.as_deref()),
        (Kind::SlowDevice, Some(below.as_str())),
        "{}",
        verdict.sentence
    );
    let devices: Vec<_> = verdict.episodes.iter().map(|one| &one.device).collect();
    assert_eq!(devices, [&Some(below)], "the layer above is the same wait");
}

/// A second disk on which the same happens as on the first.
fn below(capture: &mut Capture) -> String {
    let from = capture.disks[0].index.expect("it was traced");
    let to = from + 100;
    let mut disk = capture.disks[0].clone();
    disk.index = Some(to);
    disk.name = "nvme0n1".to_owned();
    disk.facts.get_or_insert_default().transport = Some("nvme".to_owned());
    capture.disks.push(disk);
    doubled(&mut capture.uses, |row| &mut row.disk, from, to);
    doubled(&mut capture.series, |row| &mut row.disk, from, to);
    doubled(&mut capture.slow_requests, |row| &mut row.disk, from, to);
    for interval in &mut capture.intervals {
        doubled(&mut interval.uses, |row| &mut row.disk, from, to);
    }
    "nvme0n1".to_owned()
}

fn doubled<T: Clone>(rows: &mut Vec<T>, disk: fn(&mut T) -> &mut u16, from: u16, to: u16) {
    let mut more = rows.clone();
    more.retain_mut(|row| *disk(row) == from);
    for row in &mut more {
        *disk(row) = to;
    }
    rows.extend(more);
}
