//! From evidence to capabilities; pure.

use super::capability::{Capability, State};
use super::evidence::{Bpf, Evidence, KernelTypes};
use crate::confine::capability::{self as capabilities, Until};
use crate::failure::code;
use crate::kernel::catalog::Need;
use crate::kernel::support::Facts;
use crate::probe::coverage;
use crate::probe::plan::{self, Step};
use stall_capture::HookState;

/// Numbers of include/uapi/linux/capability.h.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Every capability, in the order in which a trace meets them.
#[must_use]
pub fn judge(evidence: &Evidence) -> Vec<Capability> {
    let mut all = vec![
        permission(evidence),
        lockdown(evidence),
        bpf(evidence),
        types(evidence),
    ];
    if let KernelTypes::Facts(facts) = &evidence.types {
        all.extend(hooks(facts));
        all.extend(fields(facts));
    }
    all.extend(
        capabilities::USED
            .iter()
            .filter_map(|it| optional(it, evidence)),
    );
    all.push(symbols(evidence));
    all.push(host_processes(evidence));
    all.push(cached_files(evidence));
    all
}

fn permission(evidence: &Evidence) -> Capability {
    let held = |number: u32| evidence.capabilities.map(|set| set >> number & 1 != 0);
    let both = held(CAP_BPF).zip(held(CAP_PERFMON)).map(|(a, b)| a && b);
    let enough = held(CAP_SYS_ADMIN)
        .zip(both)
        .map(|(admin, both)| admin || both);
    let found = match (enough, held(CAP_BPF), held(CAP_PERFMON)) {
        (Some(true), ..) => "CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN",
        (Some(false), Some(true), _) => "CAP_PERFMON is missing",
        (Some(false), _, Some(true)) => "CAP_BPF is missing",
        (Some(false), ..) => "neither root nor CAP_BPF and CAP_PERFMON",
        (None, ..) => "/proc/self/status does not say",
    };
    required(code::NOT_PERMITTED, "permission", state(enough), found)
        .or_else("everything", "run it as root, with sudo for example")
}

/// A capability without which a trace lacks something.
fn optional(it: &capabilities::Use, evidence: &Evidence) -> Option<Capability> {
    if it.required || it.until == Until::Outputs {
        return None;
    }
    let set = evidence.capabilities;
    let held = set.map(|set| {
        !capabilities::missing_from(set)
            .iter()
            .any(|other| other.set == it.set)
    });
    let found = match held {
        Some(true) => "held",
        Some(false) => "not held",
        None => "/proc/self/status does not say",
    };
    let row = capability(&format!("capability {}", it.name), state(held), found);
    Some(row.or_else(it.lack, "run it as root, or give it this capability"))
}

fn lockdown(evidence: &Evidence) -> Capability {
    let level = evidence.lockdown.as_deref();
    let allowed = level.map(|level| level != "confidentiality");
    let found = level.unwrap_or("/sys/kernel/security/lockdown cannot be read");
    required(code::LOCKDOWN, "lockdown", state(allowed), found)
        .or_else("everything", "boot with lockdown=integrity or none")
}

fn bpf(evidence: &Evidence) -> Capability {
    let (state, found) = match &evidence.bpf {
        Bpf::Works => (State::Ok, "works".to_owned()),
        Bpf::Refused(reason) => (State::Missing, format!("bpf(2): {reason}")),
        Bpf::NotTried => (State::Unknown, "not tried".to_owned()),
    };
    let advice = if evidence.first_user_namespace == Some(false) {
        "run it as the host's root: root of a user namespace may not trace"
    } else {
        "run it as root, in a privileged container if in one"
    };
    required(code::NOT_PERMITTED, "bpf", state, &found).or_else("everything", advice)
}

fn types(evidence: &Evidence) -> Capability {
    let advice = "use a kernel built with CONFIG_DEBUG_INFO_BTF, version 5.10 or later";
    let (state, found, exit_code) = match &evidence.types {
        KernelTypes::Facts(_) => (State::Ok, "complete", code::NO_BTF),
        KernelTypes::Present => (State::Ok, "present", code::NO_BTF),
        KernelTypes::Absent => (State::Missing, "no /sys/kernel/btf/vmlinux", code::NO_BTF),
        KernelTypes::Unusable(reason) => (State::Missing, reason.as_str(), code::NO_BTF),
        KernelTypes::Unfit(reason) => (State::Missing, reason.as_str(), code::HOOK_MISSING),
        KernelTypes::Unknown => (State::Unknown, "not checked", code::NO_BTF),
    };
    required(exit_code, "btf", state, found).or_else("everything", advice)
}

/// One for each program of the plan that is wanted on this kernel.
fn hooks(facts: &Facts) -> Vec<Capability> {
    let steps = plan::plan(facts);
    let wanted = steps.iter().map(Step::hook).zip(&steps);
    wanted
        .filter(|(hook, _)| hook.state != HookState::NotNeeded)
        .filter(|(hook, step)| !has_stand_in(hook.state, step, &steps))
        .map(|(hook, step)| {
            let there = hook.state != HookState::Missing;
            let found = hook.reason.unwrap_or_else(|| "present".to_owned());
            hook_capability(step, there, &found)
        })
        .collect()
}

/// A missing hook that another one of its group serves for is not worth a line.
fn has_stand_in(state: HookState, step: &Step, steps: &[Step]) -> bool {
    let serves =
        |other: &Step| other.row.group == step.row.group && other.verdict == plan::Verdict::Load;
    state == HookState::Missing && steps.iter().any(serves)
}

fn hook_capability(step: &Step, there: bool, found: &str) -> Capability {
    let lack = match step.row.need {
        Need::Required => "everything",
        Need::Optional(lack) => lack,
    };
    let name = format!("hook {}", step.row.hook);
    let capability = if step.row.need == Need::Required {
        required(code::HOOK_MISSING, &name, state(Some(there)), found)
    } else {
        capability(&name, state(Some(there)), found)
    };
    capability.or_else(
        lack,
        "use a kernel from 5.10 on, built with its tracepoints",
    )
}

/// One for each part of the kernel's structures that is asked for on this kernel. Without a required one there are
/// no facts.
fn fields(facts: &Facts) -> impl Iterator<Item = Capability> {
    coverage::asked(facts).map(|part| {
        let missing = part.missing(&facts.layout);
        let found = if missing.is_empty() {
            "present".to_owned()
        } else {
            format!("the kernel has no {}", missing.join(", "))
        };
        let name = format!("fields {}", part.name);
        let state = state(Some(missing.is_empty()));
        let advice = "another kernel may have it";
        match part.need {
            Need::Required => {
                required(code::HOOK_MISSING, &name, state, &found).or_else("everything", advice)
            }
            Need::Optional(lack) => capability(&name, state, &found).or_else(lack, advice),
        }
    })
}

fn symbols(evidence: &Evidence) -> Capability {
    let found = match evidence.symbols {
        Some(true) => "addresses are shown",
        Some(false) => "addresses are hidden",
        None => "not checked",
    };
    capability("kernel_symbols", state(evidence.symbols), found).or_else(
        "symbol names in kernel stacks, and so why threads were blocked",
        "run it as root with kernel.kptr_restrict at 0 or 1",
    )
}

fn host_processes(evidence: &Evidence) -> Capability {
    let found = match evidence.host_processes {
        Some(true) => "/proc is the host's",
        Some(false) => "/proc is that of a container",
        None => "/proc does not say",
    };
    capability("host_processes", state(evidence.host_processes), found).or_else(
        "command lines, units and containers of processes",
        "run it on the host, or in its pid namespace (hostPID) with --host-root",
    )
}

fn cached_files(evidence: &Evidence) -> Capability {
    let found = match evidence.cached_files {
        Some(true) => "can be read without waiting for a disk".to_owned(),
        Some(false) => format!("the kernel has no {}", coverage::CACHED_FILES.missing),
        None => "not checked".to_owned(),
    };
    capability(
        coverage::CACHED_FILES.part,
        state(evidence.cached_files),
        &found,
    )
    .or_else(coverage::CACHED_FILES.lack, "another kernel may have it")
}

fn state(fact: Option<bool>) -> State {
    match fact {
        Some(true) => State::Ok,
        Some(false) => State::Missing,
        None => State::Unknown,
    }
}

fn capability(name: &str, state: State, found: &str) -> Capability {
    Capability {
        name: name.to_owned(),
        state,
        required: false,
        found: found.to_owned(),
        without: String::new(),
        lack: None,
        advice: None,
        exit_code: None,
    }
}

/// Without it a trace ends with a code.
fn required(code: u8, name: &str, state: State, found: &str) -> Capability {
    Capability {
        required: true,
        exit_code: Some(code),
        ..capability(name, state, found)
    }
}

impl Capability {
    /// What it means when it is missing.
    fn or_else(mut self, lack: &str, advice: &str) -> Self {
        lack.clone_into(&mut self.without);
        if self.state != State::Ok {
            self.lack = Some(lack.to_owned());
            self.advice = Some(advice.to_owned());
        }
        self
    }
}
