//! What is told as it was observed: agent, host, window, settings, hooks, stacks.

use super::names::Clock;
use crate::number::ratio;
use crate::total::Total as _;
use stall_capture as capture;
use stall_capture::Capture;
use stall_report::model;

pub(super) fn agent(capture: &Capture) -> model::Agent {
    let cost = &capture.overhead;
    let run_ns = cost.programs.iter().map(|program| program.run_ns).total();
    let timed_ns = cost.timed_ns.unwrap_or_else(|| capture.window.length_ns());
    let cpu_time = timed_ns.saturating_mul(u64::from(capture.host.cpus));
    model::Agent {
        version: capture.agent_version.clone(),
        judged_by: env!("CARGO_PKG_VERSION").to_owned(),
        attach_ns: cost.attach_ns,
        finish_ns: cost.finish_ns,
        cpu_user_ns: cost.cpu_user_ns,
        cpu_system_ns: cost.cpu_system_ns,
        peak_rss_bytes: cost.peak_rss_bytes,
        map_memory_bytes: cost.map_memory_bytes,
        programs_timed_ns: timed_ns,
        programs_run_ns: run_ns,
        programs_cpu_share: ratio(run_ns, cpu_time),
        programs: cost.programs.iter().map(program).collect(),
        confinement: capture.confinement.as_ref().map(confinement),
    }
}

fn confinement(confinement: &capture::Confinement) -> model::Confinement {
    let lacking = confinement.lacking.iter().map(|it| model::Lacking {
        capability: it.capability.clone(),
        lack: it.lack.clone(),
    });
    model::Confinement {
        capabilities: confinement.capabilities.clone(),
        lacking: lacking.collect(),
        no_new_privileges: confinement.no_new_privileges,
        system_call_filter: confinement.system_call_filter,
        memory_locked: confinement.memory_locked,
        memory_locked_bytes: confinement.memory_locked_bytes,
        refused: confinement.refused.clone(),
    }
}

fn program(cost: &capture::ProgramCost) -> model::Program {
    model::Program {
        name: cost.program.clone(),
        runs: cost.runs,
        run_ns: cost.run_ns,
        mean_run_ns: ratio(cost.run_ns, cost.runs),
        recursion_misses: cost.recursion_misses,
        verified_instructions: cost.verified_instructions,
    }
}

pub(super) fn host(host: &capture::Host, view: model::View) -> model::Host {
    model::Host {
        hostname: host.hostname.clone(),
        kernel_release: host.kernel_release.clone(),
        kernel_version: host.kernel_version.clone(),
        machine: host.machine.clone(),
        os: host.os.clone(),
        boot_id: host.boot_id.clone(),
        cpus: host.cpus,
        memory_bytes: host.memory_bytes,
        load: host.load,
        view,
    }
}

pub(super) fn window(window: &capture::Window) -> model::Window {
    let clock = Clock::new(window);
    model::Window {
        start: clock.wall(window.start_ns),
        end: clock.wall(window.end_ns),
        start_ns: window.start_ns,
        end_ns: window.end_ns,
        length_ns: window.length_ns(),
        suspended_ns: window.suspended_ns,
        interrupted: window.interrupted,
    }
}

pub(super) fn settings(settings: &capture::Settings) -> model::Settings {
    model::Settings {
        duration_ns: settings.duration_ns,
        interval_ns: settings.interval_ns,
        slow_ns: settings.slow_ns,
        stack_min_ns: settings.stack_min_ns,
        devices: settings.devices.clone(),
    }
}

pub(super) fn hooks(hooks: &[capture::Hook]) -> Vec<model::Hook> {
    hooks.iter().map(hook).collect()
}

fn hook(hook: &capture::Hook) -> model::Hook {
    model::Hook {
        program: hook.program.clone(),
        hook: hook.hook.clone(),
        state: match hook.state {
            capture::HookState::Attached => model::HookState::Attached,
            capture::HookState::NotNeeded => model::HookState::NotNeeded,
            capture::HookState::Missing => model::HookState::Missing,
            capture::HookState::Failed => model::HookState::Failed,
        },
        reason: hook.reason.clone(),
    }
}

/// Hooks that could not be used, then fields that are not there.
pub(super) fn coverage_gaps(capture: &Capture) -> Vec<model::CoverageGap> {
    let hooks = capture.hooks.iter();
    let hooks = hooks.filter(|hook| capture.lacks_program(&hook.program));
    let fields = capture.gaps.iter().map(|gap| model::CoverageGap {
        of: gap.part.clone(),
        reason: format!("the kernel has no {}", gap.missing),
        lack: gap.lack.clone(),
    });
    hooks.map(hook_gap).chain(fields).collect()
}

/// Captures of earlier versions say what is lacking in the reason only.
fn hook_gap(hook: &capture::Hook) -> model::CoverageGap {
    let reason = hook.reason.clone().unwrap_or_default();
    let lack = hook.lack.clone().unwrap_or_else(|| reason.clone());
    let own = reason.strip_suffix(&format!(": {lack}"));
    model::CoverageGap {
        of: hook.hook.clone(),
        reason: own.unwrap_or(&reason).to_owned(),
        lack,
    }
}

pub(super) fn stacks(stacks: &[capture::Stack]) -> Vec<model::Stack> {
    stacks
        .iter()
        .map(|stack| model::Stack {
            frames: stack.frames.iter().map(frame).collect(),
        })
        .collect()
}

fn frame(frame: &capture::Frame) -> Option<String> {
    let symbol = frame.symbol.as_ref()?;
    let place = format!("{symbol}+{:#x}", frame.offset);
    Some(match &frame.module {
        Some(module) => format!("{place} [{module}]"),
        None => place,
    })
}
