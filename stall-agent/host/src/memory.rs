//! Whether the host is short of memory: `/proc/pressure/memory` and `/proc/vmstat`, whose counts only grow.

use super::HostRoot;
use stall_capture::MemoryPressure;

const MAX_TEXT: u64 = 64 << 10;

/// The counts as they are at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// `some` and `full`, microseconds; `None` without `CONFIG_PSI`, or when it is off.
    stalled_us: Option<(u64, u64)>,
    swapped_in: u64,
    swapped_out: u64,
    refaulted: u64,
}

impl Look {
    /// Reads them; `None` without a `vmstat`.
    #[must_use]
    pub fn take(root: &HostRoot) -> Option<Self> {
        let vmstat = root.text("proc/vmstat", MAX_TEXT)?;
        let count = |name: &str| {
            let lines = vmstat.lines().filter_map(|line| line.split_once(' '));
            let mut values = lines.filter(|(key, _)| *key == name);
            values.next().and_then(|(_, value)| value.parse().ok())
        };
        let pressure = root.text("proc/pressure/memory", MAX_TEXT);
        Some(Self {
            stalled_us: pressure
                .and_then(|text| Some((total(&text, "some")?, total(&text, "full")?))),
            swapped_in: count("pswpin").unwrap_or(0),
            swapped_out: count("pswpout").unwrap_or(0),
            // One for pages of all kinds up to 5.8 (commit 170b04b7ae49).
            refaulted: count("workingset_refault_file")
                .or_else(|| count("workingset_refault"))
                .unwrap_or(0),
        })
    }

    /// What came between two looks.
    #[must_use]
    pub fn until(&self, later: &Self) -> MemoryPressure {
        let stalled = self.stalled_us.zip(later.stalled_us);
        let grown = |of: fn((u64, u64)) -> u64| {
            stalled.map(|(before, after)| of(after).saturating_sub(of(before)).saturating_mul(1000))
        };
        MemoryPressure {
            some_ns: grown(|both| both.0),
            full_ns: grown(|both| both.1),
            pages_swapped_in: later.swapped_in.saturating_sub(self.swapped_in),
            pages_swapped_out: later.swapped_out.saturating_sub(self.swapped_out),
            pages_refaulted: later.refaulted.saturating_sub(self.refaulted),
        }
    }
}

/// Of `some avg10=0.00 avg60=0.00 avg300=0.00 total=1234`.
fn total(text: &str, kind: &str) -> Option<u64> {
    let mut lines = text.lines();
    let line = lines.find(|line| line.split(' ').next() == Some(kind))?;
    let total = line.split(' ').find_map(|word| word.strip_prefix("total="));
    total?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    fn fixture(stalled: Option<(u64, u64)>, vmstat: &str) -> Fixture {
        let fixture = Fixture::new();
        fixture.file("proc/vmstat", vmstat);
        if let Some((some, full)) = stalled {
            let line =
                |kind, total| format!("{kind} avg10=0.00 avg60=0.00 avg300=0.00 total={total}\n");
            let text = line("some", some) + &line("full", full);
            fixture.file("proc/pressure/memory", text);
        }
        fixture
    }

    fn between(before: &Fixture, after: &Fixture) -> MemoryPressure {
        let before = Look::take(&before.root()).unwrap();
        before.until(&Look::take(&after.root()).unwrap())
    }

    #[test]
    fn counts_are_told_by_what_they_grew() {
        let before = fixture(
            Some((1000, 10)),
            "nr_free_pages 1\npswpin 5\npswpout 6\nworkingset_refault_file 7\n",
        );
        let after = fixture(
            Some((1500, 40)),
            "nr_free_pages 9\npswpin 15\npswpout 106\nworkingset_refault_file 1007\n",
        );
        let grown = between(&before, &after);
        assert_eq!(grown.some_ns, Some(500_000));
        assert_eq!(grown.full_ns, Some(30_000));
        assert_eq!(
            (
                grown.pages_swapped_in,
                grown.pages_swapped_out,
                grown.pages_refaulted
            ),
            (10, 100, 1000)
        );
    }

    #[test]
    fn a_kernel_without_pressure_counts_pages_all_the_same() {
        let before = fixture(None, "pswpin 5\nworkingset_refault 1\n");
        let after = fixture(None, "pswpin 9\nworkingset_refault 4\n");
        let grown = between(&before, &after);
        assert_eq!((grown.some_ns, grown.full_ns), (None, None));
        assert_eq!((grown.pages_swapped_in, grown.pages_refaulted), (4, 3));
        assert!(Look::take(&Fixture::new().root()).is_none());
    }
}
