//! What is known of trims: the host's schedule, the `fstrim` processes seen and what they were asked to trim, and
//! filesystems mounted with `discard`.

use super::device::has_online_discard;
use super::names::{Names, process_label};
use super::role;
use super::vm::processes;
use stall_capture as capture;
use stall_capture::command::{self, Command, Trim};
use stall_capture::{Capture, Mount, Process, UnitState};
use stall_report::model::{OemFile, TrimFacts, TrimRun, TrimTarget, TrimUnit};

/// All of it.
pub(super) fn facts(capture: &Capture, names: &Names<'_>) -> TrimFacts {
    let schedule = &capture.inventory.trim;
    let processes = processes(capture);
    let runs = processes
        .iter()
        .filter_map(|process| match command::read(process)? {
            Command::Trim(trim) => run(capture, names, process, &trim),
            _ => None,
        });
    let discard = mounts(capture).filter(|(_, mount)| has_online_discard(mount));
    TrimFacts {
        timer: unit(&schedule.timer),
        service: unit(&schedule.service),
        last_run: schedule
            .last_run_unix_ns
            .map(|ns| names.clock.wall_of_unix(ns)),
        runs: runs.collect(),
        online_discard: discard
            .map(|(row, mount)| target(names, row, mount))
            .collect(),
        oem: capture.inventory.oem.as_deref().map(oem),
    }
}

fn oem(files: &[capture::OemFile]) -> Vec<OemFile> {
    let files = files.iter().map(|file| OemFile {
        name: file.name.clone(),
        mentions_fstrim: file.mentions_fstrim,
    });
    files.collect()
}

fn unit(unit: &UnitState) -> TrimUnit {
    TrimUnit {
        file: unit.file.clone(),
        masked: unit.masked,
        enabled: unit.enabled,
        running: unit.running,
        command: unit.exec_start.clone(),
        calendar: unit.on_calendar.clone(),
        randomized_delay: unit.randomized_delay.clone(),
        persistent: unit.persistent.clone(),
    }
}

fn run(capture: &Capture, names: &Names<'_>, process: &Process, trim: &Trim) -> Option<TrimRun> {
    let list = list(capture, trim);
    let named = |point: &str| {
        let found = mounts(capture).find(|(_, mount)| mount.mount_point == point);
        TrimTarget {
            mount_point: point.to_owned(),
            device: found.map(|(row, _)| names.device_of_row(row)),
        }
    };
    let targets = match list.as_deref() {
        // A container's list is not the host's.
        Some(_) if process.pod.is_some() => Vec::new(),
        None => trim.mount_points.iter().map(|point| named(point)).collect(),
        Some("/etc/fstab") => {
            let entries = capture.inventory.trim.fstab.iter();
            let points = entries.map(|entry| entry.mount_point.as_str());
            points
                .filter(|point| point.starts_with('/'))
                .map(named)
                .collect()
        }
        // Any other list is of what is mounted; of that, this report knows the disks it traced.
        Some(_) => mounts(capture)
            .map(|(row, mount)| target(names, row, mount))
            .collect(),
    };
    Some(TrimRun {
        pid: process.pid,
        actor: names.actor_of(process),
        label: process_label(process),
        kind: role::role(capture, process)?.kind,
        offset: trim.offset.clone(),
        length: trim.length.clone(),
        minimum: trim.minimum.clone(),
        listed_in: list,
        targets,
    })
}

/// fstrim(8): of several files the first that is not empty; `--all` reads the kernel's list.
fn list(capture: &Capture, trim: &Trim) -> Option<String> {
    const FSTAB: &str = "/etc/fstab";
    let has_entries = |file: &String| file != FSTAB || !capture.inventory.trim.fstab.is_empty();
    if let Some(file) = trim.listed_in.iter().find(|file| has_entries(file)) {
        return Some(file.clone());
    }
    if trim.fstab {
        return Some(FSTAB.to_owned());
    }
    trim.all.then(|| "/proc/self/mountinfo".to_owned())
}

fn target(names: &Names<'_>, row: usize, mount: &Mount) -> TrimTarget {
    TrimTarget {
        mount_point: mount.mount_point.clone(),
        device: Some(names.device_of_row(row)),
    }
}

/// Mounts of all disks and partitions, with the disk's row.
fn mounts(capture: &Capture) -> impl Iterator<Item = (usize, &Mount)> {
    capture.disks.iter().enumerate().flat_map(|(row, disk)| {
        let facts = disk.facts.iter();
        facts
            .flat_map(|facts| {
                let parts = facts
                    .partitions
                    .iter()
                    .flat_map(|partition| &partition.mounts);
                facts.mounts.iter().chain(parts)
            })
            .map(move |mount| (row, mount))
    })
}

#[cfg(test)]
mod tests {
    use super::super::test_capture::{Builder, disk, process};
    use super::*;
    use stall_capture::FstabEntry;

    fn targets(arguments: &str, fstab: &[&str]) -> Vec<(String, Option<String>)> {
        let mut capture = Builder::of_disks(vec![disk("sda"), disk("sdb")]).capture();
        let entries = fstab.iter().map(|&point| FstabEntry {
            mount_point: point.to_owned(),
            ..FstabEntry::default()
        });
        capture.inventory.trim.fstab = entries.collect();
        capture.inventory.processes = vec![Process {
            args: arguments.split(' ').map(str::to_owned).collect(),
            ..process(7, "fstrim")
        }];
        let facts = facts(&capture, &Names::new(&capture));
        let targets = facts.runs[0].targets.iter();
        targets
            .map(|one| (one.mount_point.clone(), one.device.clone()))
            .collect()
    }

    fn sda() -> (String, Option<String>) {
        ("/mnt/sda".to_owned(), Some("sda".to_owned()))
    }

    #[test]
    fn a_list_in_a_container_is_not_the_hosts() {
        let mut capture = Builder::of_disks(vec![disk("sda")]).capture();
        capture.inventory.processes = vec![Process {
            args: vec!["fstrim".to_owned(), "-a".to_owned()],
            pod: Some(capture::Pod::default()),
            ..process(7, "fstrim")
        }];
        let facts = facts(&capture, &Names::new(&capture));
        assert!(facts.runs[0].targets.is_empty());
    }

    #[test]
    fn a_trim_was_asked_for_what_it_names_or_what_is_listed() {
        assert_eq!(targets("fstrim -v /mnt/sda", &[]), [sda()]);
        assert_eq!(targets("fstrim /gone", &[]), [("/gone".to_owned(), None)]);
        let service = "fstrim --listed-in /etc/fstab:/proc/self/mountinfo";
        assert_eq!(targets(service, &["/mnt/sda", "none"]), [sda()]);
        assert_eq!(targets(service, &[]).len(), 2);
        assert_eq!(targets("fstrim -A", &["/mnt/sda"]), [sda()]);
        assert_eq!(targets("fstrim --all", &["/mnt/sda"]).len(), 2);
    }
}
