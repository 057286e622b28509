//! Which capabilities a trace uses, what for, and until when; and giving up the others.
//!
//! [`USED`] is the whole list, the one of `docs/security.md` too. A capability that is not there is neither needed nor
//! kept.

use std::path::Path;

use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// A capability that a trace uses.
#[derive(Debug)]
pub struct Use {
    pub set: CapabilitySet,
    /// As capabilities(7) has it.
    pub name: &'static str,
    /// There is no trace without it.
    pub required: bool,
    pub until: Until,
    /// What a report lacks without it.
    pub lack: &'static str,
}

/// A capability of [`USED`].
pub type Capability = &'static Use;

/// When a capability is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// When all hooks are attached.
    Attached,
    /// The same where the kernel allows maps to be read without it, else at the end.
    AttachedOrEnd,
    /// The same; the process that writes a file keeps it to its end if it cannot write there without.
    Outputs,
    /// At the end of the process.
    End,
}

/// In the order of their numbers.
pub static USED: [Use; 9] = [
    Use {
        set: CapabilitySet::DAC_OVERRIDE,
        name: "CAP_DAC_OVERRIDE",
        required: false,
        until: Until::Outputs,
        lack: "nothing, if its user may write to the output directories",
    },
    Use {
        set: CapabilitySet::DAC_READ_SEARCH,
        name: "CAP_DAC_READ_SEARCH",
        required: false,
        until: Until::End,
        lack: "the disks of VMs, and names of pods and volumes",
    },
    Use {
        set: CapabilitySet::FOWNER,
        name: "CAP_FOWNER",
        required: false,
        until: Until::Outputs,
        lack: "nothing, unless it replaces another user's file in a directory like /tmp",
    },
    Use {
        set: CapabilitySet::IPC_LOCK,
        name: "CAP_IPC_LOCK",
        required: false,
        until: Until::End,
        lack: "nothing, but the agent may hang with the disk that holds its binary",
    },
    Use {
        set: CapabilitySet::SYS_PTRACE,
        name: "CAP_SYS_PTRACE",
        required: false,
        until: Until::End,
        lack: "the disks of VMs, and program paths (exe) of other users' processes",
    },
    Use {
        set: CapabilitySet::SYS_ADMIN,
        name: "CAP_SYS_ADMIN",
        required: false,
        until: Until::Attached,
        lack: "the cost of its own BPF programs (programs_run_ns)",
    },
    Use {
        set: CapabilitySet::SYSLOG,
        name: "CAP_SYSLOG",
        required: false,
        until: Until::End,
        lack: "symbol names in kernel stacks, and so why threads were blocked",
    },
    Use {
        set: CapabilitySet::PERFMON,
        name: "CAP_PERFMON",
        required: true,
        until: Until::Attached,
        lack: "everything",
    },
    Use {
        set: CapabilitySet::BPF,
        name: "CAP_BPF",
        required: true,
        until: Until::AttachedOrEnd,
        lack: "everything",
    },
];

/// Those of [`USED`] that a set, as `/proc/<pid>/status` has it, holds. `CAP_SYS_ADMIN` stands for `CAP_BPF`
/// and `CAP_PERFMON` as well (`bpf_capable`, `perfmon_capable`).
#[must_use]
pub fn held_by(set: u64) -> Vec<Capability> {
    let set = CapabilitySet::from_bits_retain(set);
    let admin = set.contains(CapabilitySet::SYS_ADMIN);
    let by_admin = CapabilitySet::BPF | CapabilitySet::PERFMON;
    let has = |it: &&Use| set.contains(it.set) || admin && by_admin.contains(it.set);
    USED.iter().filter(has).collect()
}

/// Those of [`USED`] that it does not hold.
#[must_use]
pub fn missing_from(set: u64) -> Vec<Capability> {
    let held = held_by(set);
    let is_held = |it: &Use| held.iter().any(|other| other.set == it.set);
    USED.iter().filter(|it| !is_held(it)).collect()
}

/// Those of [`USED`] that this thread does not hold.
#[must_use]
pub(super) fn missing() -> Vec<Capability> {
    let set = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    missing_from(set.bits())
}

/// Those of [`USED`] that this thread holds.
#[must_use]
pub(super) fn held() -> Vec<Capability> {
    let set = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    USED.iter().filter(|it| set.contains(it.set)).collect()
}

/// What the rest of a run needs, found out by doing without the rest. `works` is called with few capabilities, and
/// with more if it fails.
pub(super) fn needed_from_now_on(mut works: impl FnMut() -> bool) -> CapabilitySet {
    let always = of(|it| it.until == Until::End);
    let Ok(_few) = Lowered::to(always) else {
        return CapabilitySet::all();
    };
    let mut needed = always;
    // Up to 5.18, bpf(2) with `kernel.unprivileged_bpf_disabled` set wants it for maps too (c8644cd0efe7).
    if !works() {
        needed |= CapabilitySet::BPF;
    }
    needed
}

/// What the process that writes a file needs, found out in the same way.
pub(super) fn needed_to_write(file: Option<&Path>) -> CapabilitySet {
    // For each later mapping.
    let always = CapabilitySet::IPC_LOCK;
    let Ok(_few) = Lowered::to(always) else {
        return CapabilitySet::all();
    };
    file.map_or(always, |file| always | needed_for(file))
}

/// Gives up all but `kept` for good: also what a program executed by this thread would get.
///
/// # Errors
///
/// In words, when the kernel refuses.
pub(super) fn drop_all_but(kept: &CapabilitySet) -> Result<(), String> {
    let say = |error: Errno| format!("capabilities could not be given up ({error})");
    let now = capabilities(None).map_err(say)?;
    set_capabilities(
        None,
        CapabilitySets {
            effective: now.permitted & *kept,
            permitted: now.permitted & *kept,
            inheritable: CapabilitySet::empty(),
        },
    )
    .map_err(say)?;
    // What is not permitted leaves the ambient set by itself, the rest with the inheritable one.
    Ok(())
}

fn of(is_wanted: impl Fn(&Use) -> bool) -> CapabilitySet {
    let wanted = USED.iter().filter(|it| is_wanted(it));
    wanted.fold(CapabilitySet::empty(), |all, it| all | it.set)
}

/// Asked with the capabilities that are effective.
fn needed_for(file: &Path) -> CapabilitySet {
    let directory = crate::file::directory(file);
    let mut needed = CapabilitySet::empty();
    let access = Access::WRITE_OK | Access::EXEC_OK;
    if rustix::fs::accessat(CWD, directory, access, AtFlags::EACCESS).is_err() {
        needed |= CapabilitySet::DAC_OVERRIDE;
    }
    let user = rustix::process::geteuid().as_raw();
    let others = |path: &Path| rustix::fs::lstat(path).is_ok_and(|stat| stat.st_uid != user);
    if others(file) && others(directory) {
        needed |= CapabilitySet::FOWNER;
    }
    needed
}

/// Fewer effective capabilities for as long as it lives.
struct Lowered(CapabilitySets);

impl Lowered {
    fn to(few: CapabilitySet) -> rustix::io::Result<Self> {
        let before = capabilities(None)?;
        let effective = before.permitted & few;
        set_capabilities(
            None,
            CapabilitySets {
                effective,
                ..before
            },
        )?;
        Ok(Self(before))
    }
}

impl Drop for Lowered {
    fn drop(&mut self) {
        // They are permitted, so the kernel has no reason to refuse.
        let _ = set_capabilities(None, self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order_and_each_has_its_number() {
        assert!(USED.is_sorted_by_key(|it| it.set.bits()));
        for it in &USED {
            assert_eq!(it.set.bits().count_ones(), 1, "{}", it.name);
            let own = CapabilitySet::from_name(it.name.trim_start_matches("CAP_"));
            assert_eq!(own, Some(it.set));
        }
    }

    #[test]
    fn an_administrator_has_the_two_that_were_split_off() {
        let admin = CapabilitySet::SYS_ADMIN.bits();
        let missing = missing_from(admin);
        assert!(missing.iter().all(|it| !it.required));
        assert!(missing_from(0).iter().filter(|it| it.required).count() == 2);
        assert!(missing_from(!0).is_empty());
        assert_eq!(held_by(CapabilitySet::BPF.bits()).len(), 1);
    }

    #[test]
    fn lowered_ones_come_back() {
        let before = capabilities(None).unwrap();
        let lowered = Lowered::to(CapabilitySet::empty()).unwrap();
        assert!(capabilities(None).unwrap().effective.is_empty());
        drop(lowered);
        assert_eq!(capabilities(None).unwrap(), before);
    }

    #[test]
    fn what_is_asked_with_few_decides_what_is_needed() {
        let held = || capabilities(None).unwrap().effective;
        let mut asked = None;
        let needed = needed_from_now_on(|| {
            asked = Some(held());
            true
        });
        assert!(!asked.unwrap().contains(CapabilitySet::BPF));
        assert!(!needed.contains(CapabilitySet::BPF | CapabilitySet::SYS_ADMIN));
        let needed = needed_from_now_on(|| false);
        assert!(needed.contains(CapabilitySet::BPF));
        assert!(!needed.contains(CapabilitySet::PERFMON));
    }
}
