//! Reports of the kept captures, and their pages.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stall_agent::analysis::analyze;
use stall_agent::capture::Capture;
use stall_agent::report::Report;

/// One of each verdict.
pub(crate) const CASES: [&str; 8] = [
    "trim_and_readers",
    "trim_stuck_in_one_discard",
    "two_neighbours",
    "slow_disk_and_trim",
    "guest_trim_delays_others",
    "flush_storm",
    "lock_holder",
    "busy_and_well",
];

/// What breaks out of text, attributes, scripts, styles and comments, and turns a line.
pub(crate) const HOSTILE: &str = "\"'></title></style></script><script>window.broken=1</script><img src=x onerror=window.broken=1>\
    <style>*{display:none}</style><!--\u{202e}\n\u{1b}[2J${1+1}&amp;{{}}</svg>javascript:window.broken=1";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures")
}

pub(crate) fn capture(case: &str) -> Capture {
    let file =
        File::open(folder().join(format!("{case}.json"))).expect("each case has its capture");
    Capture::read(file).expect("it was written by a version of this format")
}

pub(crate) fn report(case: &str) -> Report {
    analyze(&capture(case))
}

/// All that are kept.
pub(crate) fn all() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("there is a folder");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let names = paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    names.filter(|name| name != "expected").collect()
}

/// A report in which whatever is foreign is hostile.
pub(crate) fn hostile() -> Report {
    let mut capture = capture("trim_and_readers");
    capture.host.hostname = Some(HOSTILE.to_owned());
    HOSTILE.clone_into(&mut capture.host.kernel_release);
    for actor in capture
        .actors
        .iter_mut()
        .filter_map(|actor| actor.process.as_mut())
    {
        hostile_process(actor);
    }
    for task in &mut capture.tasks {
        HOSTILE.clone_into(&mut task.comm);
        hostile_process(Arc::make_mut(&mut task.process));
    }
    for disk in &mut capture.disks {
        HOSTILE.clone_into(&mut disk.name);
        let facts = disk.facts.get_or_insert_default();
        facts.model = Some(HOSTILE.to_owned());
        for mount in &mut facts.mounts {
            HOSTILE.clone_into(&mut mount.mount_point);
        }
    }
    for frame in capture
        .stacks
        .iter_mut()
        .flat_map(|stack| &mut stack.frames)
    {
        frame.module = Some(HOSTILE.to_owned());
    }
    analyze(&capture)
}

fn hostile_process(process: &mut stall_agent::capture::Process) {
    HOSTILE.clone_into(&mut process.comm);
    process.args = vec![HOSTILE.to_owned(); 3];
    process.unit = Some(HOSTILE.to_owned());
}
