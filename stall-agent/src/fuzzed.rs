//! What foreign bytes reach, one function per kind of them: for the targets in `fuzz/`, and for the test that replays their
//! corpora. Nothing else calls it.
//!
//! Each takes any bytes at all, and panics when they make the agent break a promise.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use clap::Parser as _;
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use crate::cli::{Cli, Command};
use crate::collect::{d_state, records};
use crate::failure::Failure;
use crate::kernel::{btf::Btf, layout, support};
use crate::mistyped;
use crate::progress::sanitize;
use crate::{command, comparison, config, explain};
use stall_analysis::analyze;
use stall_capture::{Capture, Process};
use stall_host::mounts::Mounts;
use stall_host::{cgroup, container, longhorn, network, pods, procfs, system, systemd};
use stall_report as report;
use stall_report::{Paint, Report};

/// The name of a folder in `fuzz/corpus`, and what takes the inputs in it.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 6] = [
    ("btf", btf),
    ("capture", capture),
    ("command_line", command_line),
    ("comparison", comparison),
    ("proc", proc),
    ("records", records),
];

/// Of a command line; the system takes more of them, but no other kinds.
const MAX_WORDS: usize = 64;

/// The kernel's type information.
pub fn btf(bytes: &[u8]) {
    let facts = support::facts_of(bytes);
    let Ok(btf) = Btf::parse(bytes) else {
        assert!(facts.is_err(), "facts of what is not BTF");
        return;
    };
    let (fields, _) = layout::wanted();
    for (structure, path) in fields {
        let _absent = btf.field(structure, path);
    }
    if let Ok(facts) = facts {
        assert_eq!(facts.tracepoints, support::tracepoints(&btf));
    }
}

/// Records of the ring and of the task iterator.
pub fn records(bytes: &[u8]) {
    if let Some(record) = records::decode(bytes) {
        let again = format!("{:?}", records::decode(bytes));
        assert_eq!(again, format!("{:?}", Some(record)), "the same bytes");
    }
    for task in d_state::decode(bytes) {
        assert!(task.comm.len() <= 3 * bytes.len());
    }
}

/// What `/proc`, `/etc` and files of others say: each reader gets the same bytes, and knows its own.
pub fn proc(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    process(bytes, &text);
    mount_table(&text);
    assert!(network::ipv4(&text).len() + network::ipv6(&text).len() <= 128);
    for entry in systemd::fstab(&text) {
        assert!(entry.options.len() <= text.len());
    }
    let mut settings = std::collections::BTreeMap::new();
    systemd::read_settings(&text, &mut settings);
    assert!(settings.len() <= text.len());
    let _absent = longhorn::parse_meta(bytes);
    assert!(system::unquote(&text).len() <= text.len());
    for line in text.lines() {
        let _none = (pods::pod_directory(line), pods::container_log(line));
    }
    assert!(pods::addresses(&text).len() <= text.len());
}

/// `stat`, `cmdline`, `cgroup`.
fn process(bytes: &[u8], text: &str) {
    if let Some(stat) = procfs::parse_stat(text) {
        assert!(stat.comm.len() <= text.len());
        let _no_worker = procfs::split_worker(&stat.comm);
    }
    let lines: Vec<&str> = text.lines().collect();
    if let Some(unit) = cgroup::unit(&lines) {
        assert!(!unit.contains('/') && text.contains(&unit));
    }
    let place = container::place(&lines);
    assert!(place.pod_uid.is_none_or(|uid| uid.len() <= 36));
    let (args, args_truncated) = procfs::split_arguments(bytes);
    let process = Process {
        args,
        args_truncated,
        ..Process::default()
    };
    let _other = (command::read(&process), command::names_foreign_vm(&process));
}

fn mount_table(text: &str) {
    let mounts = Mounts::parse(text);
    assert!(mounts.entries().len() <= text.lines().count());
    for entry in mounts.entries().iter().take(16) {
        let found = mounts.of(entry.major, entry.minor);
        assert!((1..=64).contains(&found.len()));
        assert!(mounts.device_of(&entry.mount.mount_point).is_some() || !is_absolute(entry));
    }
}

fn is_absolute(entry: &stall_host::mounts::Entry) -> bool {
    entry.mount.mount_point.starts_with('/')
}

/// A saved capture, or a report: judged, and shown in every form.
pub fn capture(bytes: &[u8]) {
    if let Ok(report) = serde_json::from_slice::<Report>(bytes) {
        shown(&report);
    }
    if let Ok(capture) = Capture::read(bytes) {
        let report = analyze(&capture);
        shown(&report);
        let json = serde_json::to_vec(&report).expect("a report is JSON");
        let back: Report = serde_json::from_slice(&json).expect("what was written is read");
        let sheet = |report| report::sheet(report, Paint::Plain);
        assert_eq!(sheet(&back), sheet(&report));
    }
}

fn shown(report: &Report) {
    assert!(report::page(report).ends_with("</html>"));
    is_text(&report::sheet(report, Paint::Plain));
    assert!(report::sheet(report, Paint::Colour).contains('\u{1b}'));
    let summary = report::summary(report, Some("stall.json"));
    is_text(&summary);
    assert!(summary.lines().count() <= 15, "{summary}");
    for_programs(report);
}

/// What other programs read: short where it is to be, and one line where it is one.
fn for_programs(report: &Report) {
    for line in [
        report::event(report),
        report::one_line(report),
        report::node_problem(report),
        report::github(report),
        report::otlp(report),
    ] {
        assert_eq!(line.lines().count(), 1, "{line:?}");
        assert!(line.ends_with('\n'));
    }
    assert!(report::event(report).len() < 8 * 1024);
    assert!(report::node_problem(report).len() <= 81);
    assert!(report::markdown(report).starts_with("**"));
    assert!(report::k8s_event(report).contains("\nnote: "));
    assert!(!report::perfetto(report).is_empty());
}

/// For a terminal of 80 columns, which it does not steer.
fn is_text(text: &str) {
    let steers = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(steers), "{text:?}");
    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
}

/// Two captures in a JSON array, as a comparison is given two files.
pub fn comparison(bytes: &[u8]) {
    let Ok([before, after]) = serde_json::from_slice::<[Value; 2]>(bytes) else {
        return;
    };
    let read = |value: Value| {
        // A map keeps no order, and a capture begins with its format.
        serde_json::from_value::<Capture>(value).ok()
    };
    let (Some(before), Some(after)) = (read(before), read(after)) else {
        return;
    };
    let found = comparison::compare(&before, &after);
    is_text(&comparison::text(&found));
    let json = serde_json::to_vec(&found).expect("a comparison is JSON");
    serde_json::from_slice::<Value>(&json).expect("what was written is read");
}

/// Words with NUL between them: what they mean is checked, and done where it has no effect.
pub fn command_line(bytes: &[u8]) {
    let words = bytes.split(|byte| *byte == 0).take(MAX_WORDS);
    let words: Vec<&OsStr> = words.map(OsStr::from_bytes).collect();
    let typed = [OsStr::new("stall-agent")].into_iter();
    let done = match Cli::try_parse_from(typed.chain(words.iter().copied())) {
        Ok(cli) => meant(cli),
        Err(error) if error.use_stderr() => {
            let words = words.iter().map(|word| word.to_string_lossy().into_owned());
            let words: Vec<String> = words.collect();
            Err(Failure::Usage(mistyped::problem(&error, &words)))
        }
        Err(help) => {
            assert!(!help.render().to_string().is_empty());
            Ok(())
        }
    };
    if let Err(failure) = done {
        let said = sanitize(&failure.to_string());
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(!said.contains(char::is_control), "{said:?}");
    }
}

fn meant(cli: Cli) -> Result<(), Failure> {
    let verbosity = config::verbosity(&cli);
    match cli.command {
        Some(Command::Trace(typed)) => {
            let trace = config::Trace::new(typed, verbosity)?;
            assert!(!trace.interval.is_zero() && !trace.slow.is_zero());
            assert!(trace.duration.is_none_or(|whole| whole >= trace.interval));
        }
        Some(Command::Analyze(typed)) => {
            let _report = config::Report::new(typed.report, typed.format);
        }
        Some(Command::Check(typed)) => drop(config::host_root(&typed.host)?),
        Some(Command::Explain { term }) => explained(&term.join(" "))?,
        _ => {}
    }
    Ok(())
}

fn explained(term: &str) -> Result<(), Failure> {
    let text = explain::explain(term).map_err(Failure::Usage)?;
    assert!(!text.is_empty());
    Ok(())
}
