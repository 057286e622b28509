//! The schedule of the host's trim, as far as systemd's files tell: `fstrim.timer`, `fstrim.service`, `/etc/fstab`.
//!
//! systemd.unit(5): a unit's file is the first in the order of [`PLACES`]; one that is a link to `/dev/null` or
//! empty is masked; `*.wants/` links enable it; drop-ins `<unit>.d/*.conf` add to it, in the order of their names, those of a
//! higher place instead of those of the same name below. Whether a service runs is told by its cgroup. systemd
//! itself is not asked. The disk they lie on may be the one that hangs: what is not in memory is as if it were not there.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;

use super::HostRoot;
use stall_capture::{FstabEntry, TrimSchedule, UnitState};

const PLACES: [&str; 5] = [
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
];
/// Where a unit's cgroup is: unified, systemd's own of v1, and unified beside it.
const CGROUPS: [&str; 3] = [
    "sys/fs/cgroup",
    "sys/fs/cgroup/systemd",
    "sys/fs/cgroup/unified",
];
const MAX_UNIT: u64 = 256 << 10;
const MAX_FSTAB: u64 = 1 << 20;
const MAX_SETTING: usize = 1024;
const MAX_ENTRIES: usize = 1024;

/// Reads all of it.
#[must_use]
pub fn trim_schedule(root: &HostRoot) -> TrimSchedule {
    let timer = unit(root, "fstrim.timer");
    let stamp = root.cached_metadata("var/lib/systemd/timers/stamp-fstrim.timer");
    TrimSchedule {
        timer,
        service: unit(root, "fstrim.service"),
        last_run_unix_ns: stamp.map(|stamp| {
            let seconds = stamp.mtime().saturating_mul(1_000_000_000);
            seconds.saturating_add(stamp.mtime_nsec())
        }),
        fstab: fstab(&root.cached_text("etc/fstab", MAX_FSTAB).unwrap_or_default()),
    }
}

fn unit(root: &HostRoot, name: &str) -> UnitState {
    let mut places = PLACES.iter().map(|place| format!("{place}/{name}"));
    let Some(file) = places.find(|path| is_there(root, path)) else {
        return UnitState::default();
    };
    let settings = settings(root, name, &file);
    let setting = |key: &str| settings.get(key).cloned();
    UnitState {
        masked: is_masked(root, &file),
        enabled: is_wanted(root, name),
        running: runs(root, name),
        exec_start: setting("ExecStart"),
        on_calendar: setting("OnCalendar"),
        randomized_delay: setting("RandomizedDelaySec"),
        persistent: setting("Persistent"),
        file: Some(format!("/{file}")),
    }
}

fn is_masked(root: &HostRoot, file: &str) -> bool {
    let is_empty = || {
        let metadata = root.cached_metadata(file);
        metadata.is_some_and(|metadata| metadata.is_file() && metadata.len() == 0)
    };
    root.cached_link(file).as_deref() == Some("/dev/null") || is_empty()
}

/// Also a link that leads nowhere here.
fn is_there(root: &HostRoot, path: &str) -> bool {
    root.cached_is_there(path)
}

fn is_wanted(root: &HostRoot, name: &str) -> bool {
    PLACES.iter().any(|place| {
        let folders = root.cached_names(place);
        let mut wants = folders.iter().filter(|folder| folder.ends_with(".wants"));
        wants.any(|wants| is_there(root, &format!("{place}/{wants}/{name}")))
    })
}

/// `None` for what has no cgroup of its own (a timer), or where there are none to be seen.
fn runs(root: &HostRoot, name: &str) -> Option<bool> {
    if !name.ends_with(".service") {
        return None;
    }
    let slices: Vec<_> = CGROUPS
        .iter()
        .map(|at| format!("{at}/system.slice"))
        .collect();
    let there = slices.iter().any(|slice| root.exists(slice));
    let has_processes = |slice: &String| {
        let procs = root.value(format!("{slice}/{name}/cgroup.procs"));
        procs.is_some()
    };
    there.then(|| slices.iter().any(has_processes))
}

/// Keys of the unit's file and its drop-ins, several values joined by `; `.
fn settings(root: &HostRoot, name: &str, file: &str) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let texts = std::iter::once(file.to_owned()).chain(drop_ins(root, name));
    for path in texts {
        read_settings(
            &root.cached_text(path, MAX_UNIT).unwrap_or_default(),
            &mut values,
        );
    }
    values
}

fn drop_ins(root: &HostRoot, name: &str) -> Vec<String> {
    let mut found = BTreeMap::new();
    for place in PLACES {
        let folder = format!("{place}/{name}.d");
        for file in root.cached_names(&folder) {
            if file.ends_with(".conf") {
                let path = format!("{folder}/{file}");
                found.entry(file).or_insert(path);
            }
        }
    }
    found.into_values().collect()
}

/// An empty value forgets those before it (systemd.service(5)); a backslash at the end of a line continues it.
pub fn read_settings(text: &str, values: &mut BTreeMap<String, String>) {
    let joined = text.replace("\\\n", " ");
    for line in joined.lines().map(str::trim) {
        let Some((key, value)) = line
            .split_once('=')
            .filter(|_| !line.starts_with(['#', ';']))
        else {
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if value.is_empty() {
            values.remove(key);
        } else if ["ExecStart", "OnCalendar"].contains(&key) && values.contains_key(key) {
            let all = format!("{}; {value}", values[key]);
            values.insert(key.to_owned(), cut(&all));
        } else {
            values.insert(key.to_owned(), cut(value));
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_SETTING).collect()
}

/// fstab(5): fields are separated by blanks, blanks in them written as `\040`.
pub fn fstab(text: &str) -> Vec<FstabEntry> {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.starts_with('#'));
    let entries = lines.filter_map(|line| {
        let mut fields = line.split_ascii_whitespace().map(super::mounts::unescape);
        Some(FstabEntry {
            source: fields.next()?,
            mount_point: fields.next()?,
            filesystem: fields.next()?,
            options: fields.next().unwrap_or_default(),
        })
    });
    entries.take(MAX_ENTRIES).collect()
}

#[cfg(test)]
#[path = "systemd_tests.rs"]
mod tests;
