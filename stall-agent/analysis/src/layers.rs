//! What is stacked on what: whole disks, partitions, loop, device mapper, RAID.

use std::collections::{BTreeSet, HashMap};

use super::names::Names;
use stall_capture::{Capture, Disk};

/// The disks below each disk.
pub(super) struct Stacking {
    ids: Vec<String>,
    /// Rows of the disks each is made of.
    below: Vec<Vec<usize>>,
    /// Row of the disk that holds the file behind each loop device.
    backing: Vec<Option<usize>>,
    by_name: HashMap<String, usize>,
}

impl Stacking {
    pub(super) fn new(capture: &Capture, names: &Names<'_>) -> Self {
        let rows = rows_by_name(capture);
        let below = capture.disks.iter().map(|disk| {
            let made_of = disk.facts.iter().flat_map(|facts| &facts.made_of);
            made_of
                .filter_map(|name| rows.get(name.as_str()).copied())
                .collect()
        });
        Self {
            ids: (0..capture.disks.len())
                .map(|row| names.device_of_row(row))
                .collect(),
            below: below.collect(),
            backing: backing(capture),
            by_name: rows
                .iter()
                .map(|(name, row)| ((*name).to_owned(), *row))
                .collect(),
        }
    }

    /// The disk, or the disk with the partition, of a name.
    pub(super) fn row_of(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The disk and those it is made of, from top to bottom.
    pub(super) fn chain(&self, row: usize) -> Vec<usize> {
        self.walk(row, |row| self.below[row].clone())
    }

    /// Rows of the disks at the bottom, through files behind loop devices too.
    pub(super) fn physical(&self, row: usize) -> Vec<usize> {
        let below = |row: usize| {
            let backing = self.backing[row].into_iter();
            self.below[row]
                .iter()
                .copied()
                .chain(backing)
                .collect::<Vec<_>>()
        };
        let mut rows = self.walk(row, below);
        rows.retain(|row| below(*row).is_empty());
        rows
    }

    /// Ids of these.
    pub(super) fn physical_ids(&self, row: usize) -> Vec<String> {
        let rows = self.physical(row);
        rows.into_iter().map(|row| self.ids[row].clone()).collect()
    }

    /// Everything below, each once, breadth first; a circle ends.
    fn walk(&self, row: usize, below: impl Fn(usize) -> Vec<usize>) -> Vec<usize> {
        let mut found = vec![row];
        let mut at = 0;
        while at < found.len() {
            for next in below(found[at]) {
                if !found.contains(&next) {
                    found.push(next);
                }
            }
            at += 1;
        }
        found
    }

    /// Ids of the disks at the bottom of this one; itself when it is made of none that is known.
    pub(super) fn bottom(&self, row: usize) -> Vec<String> {
        let (mut seen, mut found, mut todo) = (BTreeSet::new(), BTreeSet::new(), vec![row]);
        while let Some(next) = todo.pop() {
            if !seen.insert(next) {
                continue;
            }
            if self.below[next].is_empty() {
                found.insert(next);
            }
            todo.extend(&self.below[next]);
        }
        found.into_iter().map(|row| self.ids[row].clone()).collect()
    }
}

fn backing(capture: &Capture) -> Vec<Option<usize>> {
    let holds = |disk: &Disk, number: (u32, u32)| {
        let partitions = disk.facts.iter().flat_map(|facts| &facts.partitions);
        let mut numbers = partitions.map(|partition| (partition.major, partition.minor));
        (disk.major, disk.minor) == number || numbers.any(|one| one == number)
    };
    let backing = capture.disks.iter().map(|disk| {
        let number = disk.facts.as_ref()?.backing_device?;
        capture.disks.iter().position(|other| holds(other, number))
    });
    backing.collect()
}

/// Disks by their own name and by the names of their partitions.
fn rows_by_name(capture: &Capture) -> HashMap<&str, usize> {
    let mut rows = HashMap::new();
    for (row, disk) in capture.disks.iter().enumerate() {
        rows.insert(disk.name.as_str(), row);
        for partition in disk.facts.iter().flat_map(|facts| &facts.partitions) {
            rows.insert(partition.name.as_str(), row);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::test_capture::{Builder, disk};
    use super::*;
    use stall_capture::Partition;

    fn made_of(name: &str, parts: &[&str]) -> Disk {
        let mut made = disk(name);
        made.facts.get_or_insert_default().made_of =
            parts.iter().map(|&part| part.to_owned()).collect();
        made
    }

    fn bottoms(disks: Vec<Disk>, row: usize) -> Vec<String> {
        let capture = Builder::of_disks(disks).capture();
        Stacking::new(&capture, &Names::new(&capture)).bottom(row)
    }

    #[test]
    fn a_stack_is_followed_through_partitions_to_its_disks() {
        let mut nvme = disk("nvme0n1");
        nvme.facts.get_or_insert_default().partitions = vec![Partition {
            name: "nvme0n1p6".to_owned(),
            ..Partition::default()
        }];
        let disks = vec![
            made_of("dm-1", &["dm-0"]),
            made_of("dm-0", &["nvme0n1p6", "sdb"]),
            nvme,
            disk("sdb"),
        ];
        assert_eq!(bottoms(disks.clone(), 0), ["nvme0n1", "sdb"]);
        assert_eq!(bottoms(disks, 3), ["sdb"]);
    }

    #[test]
    fn a_circle_ends() {
        let disks = vec![made_of("a", &["b"]), made_of("b", &["a"])];
        assert_eq!(bottoms(disks, 0), [""; 0]);
    }
}
