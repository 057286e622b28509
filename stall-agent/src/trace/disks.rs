//! What the host says of its disks: counters when the window begins and ends, facts meanwhile.
//!
//! Facts are read on a thread of their own, so that a slow sysfs delays nothing; at the end it is waited for a moment
//! only.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use stall_common::disk::MAX_DISKS;

use super::background::Aside;
use stall_capture::{DeviceState, Disk, DiskFacts, DiskStat, InFlight, IntervalDisk, NameGap};
use stall_host::HostRoot;
use stall_host::block_device::{self, WholeDisk};
use stall_host::mounts::Mounts;

/// Facts by name of the disk.
type Facts = BTreeMap<String, (WholeDisk, DiskFacts)>;
/// What stacked devices say of themselves, by name.
type States = BTreeMap<String, DeviceState>;

/// What a thread that has not read all the facts in the window still gets.
const PATIENCE: Duration = Duration::from_millis(500);

/// The host's disks as they were when the window began.
pub(super) struct HostDisks {
    root: HostRoot,
    at_start: BTreeMap<String, Counters>,
    at_end: BTreeMap<String, Counters>,
    /// By name, at the last look; `None` for what is no whole disk.
    last: BTreeMap<String, Option<DiskStat>>,
    facts: Option<Aside<Facts>>,
    /// In place of these once they are there.
    newer: Option<Aside<Facts>>,
    states: Option<Aside<States>>,
}

/// A disk the programs saw, or one that has something in flight which they did not: those have indices from [`MAX_DISKS`] on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) index: u16,
    pub(super) name: String,
    pub(super) major: u32,
    pub(super) minor: u32,
}

#[derive(Clone, Copy, Default)]
struct Counters {
    in_flight: Option<InFlight>,
    stat: Option<DiskStat>,
}

impl HostDisks {
    /// Reads the counters of disks, which is to be the first thing after the hooks are attached: what ends until then only the
    /// hooks count.
    #[must_use]
    pub(super) fn count(root: &HostRoot, disks: &[WholeDisk]) -> Self {
        let counted = disks.iter();
        let counted = counted.map(|disk| (disk.name.clone(), counters(root, &disk.name)));
        let at_start: BTreeMap<_, _> = counted.collect();
        let last = at_start.iter();
        let last = last.map(|(name, counters)| (name.clone(), counters.stat));
        Self {
            root: root.clone(),
            last: last.collect(),
            at_start,
            at_end: BTreeMap::new(),
            facts: None,
            newer: None,
            states: None,
        }
    }

    /// What the kernel counted on each disk since the last look. One that was not seen and has something in flight joins `seen`:
    /// it may have hung since before the window.
    #[must_use]
    pub(super) fn since_last(&mut self, seen: &mut Vec<Seen>, add_new: bool) -> Vec<IntervalDisk> {
        let mut rows = Vec::new();
        for (name, number, now) in block_device::stats(&self.root) {
            let root = &self.root;
            let last = self
                .last
                .entry(name.clone())
                .or_insert_with(|| block_device::by_name(root, &name).map(|_| DiskStat::default()));
            let Some(last) = last else { continue };
            let before = std::mem::replace(last, now);
            let there = seen.iter().find(|disk| disk.name == name);
            let index = match there {
                Some(disk) => disk.index,
                None if add_new && now.in_flight > 0 => {
                    let next = seen.iter().map(|disk| disk.index + 1).max();
                    let index = next.unwrap_or(0).max(MAX_DISKS as u16);
                    seen.push(Seen {
                        index,
                        name: name.clone(),
                        major: number.0,
                        minor: number.1,
                    });
                    index
                }
                None => continue,
            };
            rows.extend(self.row_since(&name, index, &before, &now));
        }
        rows.sort_by_key(|row| row.disk);
        rows
    }

    /// `None` for a disk at rest.
    fn row_since(
        &self,
        name: &str,
        disk: u16,
        before: &DiskStat,
        now: &DiskStat,
    ) -> Option<IntervalDisk> {
        let row = IntervalDisk {
            disk,
            in_flight: InFlight::default(),
            ended: ended(now).saturating_sub(ended(before)),
            busy_ms: now.io_ms.saturating_sub(before.io_ms),
        };
        if now.in_flight == 0 {
            return (row.ended > 0 || row.busy_ms > 0).then_some(row);
        }
        let in_flight = block_device::in_flight(&self.root, name).unwrap_or_default();
        Some(IntervalDisk { in_flight, ..row })
    }

    /// Begins to read the facts of disks.
    pub(super) fn look(&mut self, disks: Vec<WholeDisk>) {
        let root = self.root.clone();
        self.facts = Some(Aside::begin("disk-facts", move || all_facts(&root, disks)));
    }

    /// Reads the counters of the disks seen, now that the window has ended.
    pub(super) fn look_again(&mut self, seen: &[Seen]) {
        for disk in seen {
            let counters = counters(&self.root, &disk.name);
            self.at_end.insert(disk.name.clone(), counters);
        }
    }

    /// Begins to ask all disks for their states.
    pub(super) fn look_at_states(&mut self) {
        let root = self.root.clone();
        self.states = Some(Aside::begin("disk-states", move || all_states(&root)));
    }

    /// Requests the kernel counted in flight on a disk when the window had ended; `None` also where it is known to count none
    /// (`blk_mq_check_inflight()` asks `blk_do_io_stat()` since 5.15).
    pub(super) fn in_flight_at_end(&self, seen: &Seen) -> Option<InFlight> {
        let facts = self.facts.as_ref().and_then(Aside::peek);
        let facts = facts.and_then(|facts| facts.get(&seen.name));
        if facts.is_some_and(|(_, facts)| facts.iostats == Some(false)) {
            return None;
        }
        self.at_end.get(&seen.name)?.in_flight
    }

    /// The rows of the capture: the disks seen, and those they are stacked with. That facts are missing is told in `gaps`.
    #[must_use]
    pub(super) fn rows(
        mut self,
        seen: &[Seen],
        wanted: &HashSet<(u32, u32)>,
        gaps: &mut Vec<NameGap>,
        complete: impl Fn(&mut Disk),
    ) -> Vec<Disk> {
        let read = self.facts.take();
        let read = read.and_then(|facts| facts.end(PATIENCE));
        let is_there = read.is_some();
        let mut facts = read.unwrap_or_default();
        let states = self.states.take();
        let states = states.and_then(|states| states.end(PATIENCE));
        if !(is_there && self.add_new(seen, &mut facts)) {
            gaps.push(NameGap {
                what: "disks".to_owned(),
                reason: "/sys had not answered at the end".to_owned(),
                count: seen.len() as u64,
            });
        }
        let mut rows = self.all_rows(seen, wanted, &facts, complete);
        add_states(&mut rows, &facts, states.unwrap_or_default());
        rows
    }

    /// The same while the window is open, with the facts that are there by now.
    #[must_use]
    pub(super) fn rows_so_far(&self, seen: &[Seen], wanted: &HashSet<(u32, u32)>) -> Vec<Disk> {
        let none = Facts::new();
        let facts = self.facts.as_ref().and_then(Aside::peek);
        self.all_rows(seen, wanted, facts.unwrap_or(&none), |_| {})
    }

    /// What the kernel counted of a disk at the last look at them ([`Self::look_again`]).
    pub(super) fn counted(&self, seen: &Seen) -> Option<(InFlight, DiskStat)> {
        let counters = self.at_end.get(&seen.name)?;
        counters.in_flight.zip(counters.stat)
    }

    /// Begins to read the facts anew where disks have come since; those known stay until the new ones are there.
    pub(super) fn refresh(&mut self, seen: &[Seen]) {
        if self
            .newer
            .as_ref()
            .is_some_and(|newer| newer.peek().is_some())
        {
            self.facts = self.newer.take();
        }
        let known = self.facts.as_ref().and_then(Aside::peek);
        let is_new = |disk: &Seen| known.is_some_and(|facts| !facts.contains_key(&disk.name));
        if self.newer.is_none() && seen.iter().any(is_new) {
            let root = self.root.clone();
            let all = block_device::disks(&root);
            self.newer = Some(Aside::begin("disk-facts", move || all_facts(&root, all)));
        }
    }

    fn all_rows(
        &self,
        seen: &[Seen],
        wanted: &HashSet<(u32, u32)>,
        facts: &Facts,
        complete: impl Fn(&mut Disk),
    ) -> Vec<Disk> {
        let mut rows: Vec<Disk> = seen.iter().map(|disk| self.row(disk, facts)).collect();
        rows.iter_mut().for_each(complete);
        rows.extend(related(seen, wanted, facts));
        rows
    }

    fn row(&self, seen: &Seen, facts: &Facts) -> Disk {
        let start = self.at_start.get(&seen.name).copied().unwrap_or_default();
        let end = self.at_end.get(&seen.name).copied().unwrap_or_default();
        Disk {
            index: Some(seen.index),
            name: seen.name.clone(),
            major: seen.major,
            minor: seen.minor,
            facts: facts.get(&seen.name).map(|(_, facts)| facts.clone()),
            in_flight_at_start: start.in_flight,
            in_flight_at_end: end.in_flight,
            stat_at_start: start.stat,
            stat_at_end: end.stat,
            ..Disk::default()
        }
    }

    /// Those of disks that came after the window began as well, unless that takes too long: a queue that is being changed while
    /// its disk does not answer cannot be read. False when it did.
    fn add_new(&self, seen: &[Seen], facts: &mut Facts) -> bool {
        let names = seen.iter().map(|disk| &disk.name);
        let new = names.filter(|name| !facts.contains_key(*name));
        let new: Vec<String> = new.cloned().collect();
        if new.is_empty() {
            return true;
        }
        let root = self.root.clone();
        let look = Aside::begin("new-disk-facts", move || {
            let found = new
                .iter()
                .filter_map(|name| block_device::by_name(&root, name));
            all_facts(&root, found.collect())
        });
        let read = look.end(PATIENCE);
        let is_there = read.is_some();
        facts.extend(read.unwrap_or_default());
        is_there
    }
}

fn all_facts(root: &HostRoot, disks: Vec<WholeDisk>) -> Facts {
    let mounts = Mounts::of_host(root);
    disks
        .into_iter()
        .filter_map(|disk| {
            let facts = block_device::facts(root, &disk.name, &mounts)?;
            Some((disk.name.clone(), (disk, facts)))
        })
        .collect()
}

fn all_states(root: &HostRoot) -> States {
    let disks = block_device::disks(root).into_iter();
    let states = disks.map(|disk| {
        let state = block_device::state(root, &disk.name);
        (disk.name, state)
    });
    states
        .filter(|(_, state)| *state != DeviceState::default())
        .collect()
}

/// Gives the rows their states; who is in trouble gets a row, whether anything was asked of it or not.
fn add_states(rows: &mut Vec<Disk>, facts: &Facts, mut states: States) {
    for row in rows.iter_mut() {
        row.state = states.remove(&row.name).unwrap_or_default();
    }
    let others = states.into_iter();
    let others = others.filter(|(_, state)| block_device::is_trouble(state));
    rows.extend(others.map(|(name, state)| {
        let known = facts.get(&name);
        let number = known.and_then(|(disk, _)| disk.number);
        Disk {
            state,
            facts: known.map(|(_, facts)| facts.clone()),
            ..without_requests(name, number)
        }
    }));
}

fn without_requests(name: String, number: Option<(u32, u32)>) -> Disk {
    let (major, minor) = number.unwrap_or((0, 0));
    Disk {
        name,
        major,
        minor,
        ..Disk::default()
    }
}

/// Disks without requests of their own that a seen one is made of or lies on, or that are made of it, through however many
/// layers: bio-based devices (dm, md) have none; and those that a VM or a replica uses, idle or not.
fn related(seen: &[Seen], wanted: &HashSet<(u32, u32)>, facts: &Facts) -> Vec<Disk> {
    let seen_facts = seen.iter().filter_map(|disk| facts.get(&disk.name));
    let backing = seen_facts.filter_map(|(_, facts)| facts.backing_device);
    let wanted: HashSet<_> = backing.chain(wanted.iter().copied()).collect();
    let is_wanted = |disk: &WholeDisk, facts: &DiskFacts| {
        let partitions = facts.partitions.iter();
        let numbers = partitions.map(|partition| (partition.major, partition.minor));
        disk.number
            .into_iter()
            .chain(numbers)
            .any(|number| wanted.contains(&number))
    };
    let is_seen = |name: &str| seen.iter().any(|disk| disk.name == name);
    let stack = stacked_with(seen, facts);
    let concerns = |disk: &WholeDisk| stack.contains(disk.name.as_str());
    facts
        .values()
        .filter(|(disk, facts)| !is_seen(&disk.name) && (concerns(disk) || is_wanted(disk, facts)))
        .map(|(disk, facts)| Disk {
            facts: Some(facts.clone()),
            ..without_requests(disk.name.clone(), disk.number)
        })
        .collect()
}

/// Names of the disks seen, of all that is made of them, and of all that any of these is made of.
fn stacked_with<'a>(seen: &'a [Seen], facts: &'a Facts) -> HashSet<&'a str> {
    let seen = seen.iter().map(|disk| disk.name.as_str());
    let up = reached(seen, |name| above(name, facts));
    reached(up, |name| below(name, facts))
}

/// In steps, however many; a circle ends.
fn reached<'a>(
    from: impl IntoIterator<Item = &'a str>,
    step: impl Fn(&'a str) -> Vec<&'a str>,
) -> HashSet<&'a str> {
    let mut next: Vec<&str> = from.into_iter().collect();
    let mut all = HashSet::new();
    while let Some(name) = next.pop() {
        if all.insert(name) {
            next.extend(step(name));
        }
    }
    all
}

/// What is made of a disk, or of its partitions.
fn above<'a>(name: &str, facts: &'a Facts) -> Vec<&'a str> {
    let facts = facts.get(name).map(|(_, facts)| facts);
    let partitions = facts.iter().flat_map(|facts| &facts.partitions);
    let names = facts.iter().flat_map(|facts| &facts.used_by);
    let names = names.chain(partitions.flat_map(|partition| &partition.used_by));
    names.map(String::as_str).collect()
}

/// The disks that a disk is made of, of their partitions too.
fn below<'a>(name: &str, facts: &'a Facts) -> Vec<&'a str> {
    let made_of = facts.get(name).map(|(_, facts)| facts.made_of.as_slice());
    let made_of = made_of.unwrap_or_default();
    let is_part = |facts: &DiskFacts| {
        let mut partitions = facts.partitions.iter();
        partitions.any(|partition| made_of.contains(&partition.name))
    };
    let whole = facts.iter();
    let whole = whole.filter(|(name, (_, facts))| made_of.contains(name) || is_part(facts));
    whole.map(|(name, _)| name.as_str()).collect()
}

fn ended(stat: &DiskStat) -> u64 {
    stat.reads + stat.writes + stat.discards.unwrap_or(0) + stat.flushes.unwrap_or(0)
}

fn counters(root: &HostRoot, disk: &str) -> Counters {
    Counters {
        in_flight: block_device::in_flight(root, disk),
        stat: block_device::stat(root, disk),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stall_capture::Partition;

    fn disk(
        name: &str,
        partition: &str,
        made_of: &[&str],
        used_by: &[&str],
    ) -> (String, (WholeDisk, DiskFacts)) {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let facts = DiskFacts {
            made_of: names(made_of),
            used_by: names(used_by),
            partitions: vec![Partition {
                name: partition.to_owned(),
                ..Partition::default()
            }],
            ..DiskFacts::default()
        };
        let whole = WholeDisk {
            name: name.to_owned(),
            number: None,
        };
        (name.to_owned(), (whole, facts))
    }

    #[test]
    fn a_device_in_trouble_has_a_row_without_a_request() {
        let facts: Facts = [disk("dm-0", "", &[], &[]), disk("dm-1", "", &[], &[])].into();
        let state = |suspended| DeviceState {
            suspended: Some(suspended),
            ..DeviceState::default()
        };
        let states = ["dm-0", "dm-1", "dm-2"].map(|name| (name.to_owned(), state(name != "dm-1")));
        let mut rows = vec![without_requests("dm-0".to_owned(), Some((254, 0)))];
        add_states(&mut rows, &facts, states.into());
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.name.as_str(), row.state.suspended, row.facts.is_some()))
            .collect();
        assert_eq!(
            told,
            [("dm-0", Some(true), false), ("dm-2", Some(true), false)]
        );
    }

    #[test]
    fn every_layer_is_found_from_the_bottom_and_from_the_top() {
        let facts: Facts = [
            disk("sda", "sda2", &[], &["dm-0"]),
            disk("sdb", "sdb1", &[], &["dm-0"]),
            disk("sdc", "sdc1", &[], &[]),
            disk("dm-0", "", &["sda2", "sdb"], &["dm-1"]),
            disk("dm-1", "", &["dm-0"], &[]),
        ]
        .into();
        for seen in ["sda", "dm-1"] {
            let seen = [Seen {
                index: 0,
                name: seen.to_owned(),
                major: 8,
                minor: 0,
            }];
            let mut stack: Vec<&str> = stacked_with(&seen, &facts).into_iter().collect();
            stack.sort_unstable();
            assert_eq!(stack, ["dm-0", "dm-1", "sda", "sdb"]);
            let rows = related(&seen, &HashSet::new(), &facts);
            assert_eq!(rows.len(), 3, "all but the one seen");
        }
    }
}
