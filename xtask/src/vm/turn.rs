//! What is booted for a kernel: a machine for nearly all checks, and one with a single CPU for the sleep of x86 machines.
//!
//! Contract: every check that is wanted has its turn in one of them.

use super::wanted::{ALL, Wanted};
use crate::lab::kernel::{Arch, Kernel};

/// A check of `stall_tests::guest`. When an x86 machine wakes, its firmware starts the CPU that is out, too, which then waits in
/// the firmware for ever and takes half of the machine's time, or is thought to run what is not meant to be run: machines were
/// reset, or did not wake (docs/machines.md).
const SUSPENDED: &str = "suspended";

/// One machine, and what it is to show.
pub(super) struct Turn {
    pub(super) kernel: Kernel,
    /// Its name, and its disks'.
    pub(super) name: String,
    /// One is in use; a check puts the second one in and takes it out.
    pub(super) cpus: &'static str,
    /// As they are asked for.
    pub(super) checks: String,
    /// A check that is not this one's.
    pub(super) but: Option<&'static str>,
}

/// The long ones first, of the slow kernels first: none of them is to be left alone at the end.
pub(super) fn all(kernels: &[Kernel], wanted: &Wanted) -> Vec<Turn> {
    let slow_first = || kernels.iter().rev();
    let most = slow_first().filter_map(|kernel| most(kernel, wanted));
    let one_cpu = slow_first().filter_map(|kernel| one_cpu(kernel, wanted));
    most.chain(one_cpu).collect()
}

fn most(kernel: &Kernel, wanted: &Wanted) -> Option<Turn> {
    let but = sleeps_with_one_cpu(kernel).then_some(SUSPENDED);
    (but != Some(&wanted.checks)).then(|| Turn {
        kernel: *kernel,
        name: kernel.name.to_owned(),
        cpus: "2",
        checks: wanted.checks.clone(),
        but,
    })
}

fn one_cpu(kernel: &Kernel, wanted: &Wanted) -> Option<Turn> {
    (sleeps_with_one_cpu(kernel) && wants_sleep(&wanted.checks)).then(|| Turn {
        kernel: *kernel,
        name: format!("{}-{SUSPENDED}", kernel.name),
        cpus: "1",
        checks: SUSPENDED.to_owned(),
        but: None,
    })
}

/// Emulated ARM machines do not sleep, and say so.
fn sleeps_with_one_cpu(kernel: &Kernel) -> bool {
    kernel.arch == Arch::Amd64
}

/// As `stall_tests::guest` understands what is asked for.
fn wants_sleep(checks: &str) -> bool {
    checks == ALL || checks.split(',').any(|text| SUSPENDED.contains(text))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::lab::kernel::KERNELS;

    fn names(checks: &str) -> Vec<String> {
        let kernels = KERNELS
            .iter()
            .filter(|kernel| ["6.12", "6.12-arm64"].contains(&kernel.name));
        let wanted = Wanted {
            checks: checks.to_owned(),
            within: Duration::ZERO,
        };
        let kernels: Vec<Kernel> = kernels.copied().collect();
        let turns = all(&kernels, &wanted).into_iter();
        turns.map(|turn| turn.name).collect()
    }

    #[test]
    fn an_x86_machine_sleeps_with_one_cpu() {
        assert_eq!(names("all"), ["6.12-arm64", "6.12", "6.12-suspended"]);
        assert_eq!(names("nvme,susp"), names("all"));
        assert_eq!(names("suspended"), ["6.12-arm64", "6.12-suspended"]);
    }

    #[test]
    fn nothing_is_booted_for_what_is_not_wanted() {
        assert_eq!(names("short"), ["6.12-arm64", "6.12"]);
        assert_eq!(names("incident-on-nvme"), names("short"));
    }
}
