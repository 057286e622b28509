//! Loads and attaches what the plan says.
//!
//! All of it happens before `attach` returns; nothing is pinned, so the end of the process, however
//! it comes, detaches everything.

use std::collections::HashMap;

use aya::programs::links::LinkError;
use aya::programs::tp_btf::BtfTracePointLink;
use aya::programs::{BtfTracePoint, Iter, ProgramError};
use aya::{Btf, Ebpf, EbpfLoader};
use stall_common::layout::Layout;
use stall_common::params::Params;
use thiserror::Error;

use super::memlock::Room;
use super::plan::{Step, Verdict};
use super::sizes::Sizes;
use super::verify::{self, Offered};
use crate::kernel::catalog::{Kind, Need};
use stall_capture::{Hook, HookState};

pub(super) use stall_programs::OBJECT;

/// The `log` level that `-v` turns on in the programs; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KernelLog {
    Off,
    Debug,
}

/// Why nothing is attached.
#[derive(Debug, Error)]
pub enum LoadError {
    #[error("the BPF object could not be loaded: {0}")]
    Object(#[from] aya::EbpfError),
    #[error("the kernel's BTF could not be read: {0}")]
    Btf(#[from] aya::BtfError),
    #[error("the kernel refused program {program}: {reason}")]
    Program { program: String, reason: String },
}

/// Programs loaded, maps at hand, nothing attached yet: time to fill the maps.
pub struct Loaded {
    pub ebpf: Ebpf,
    steps: Vec<Step>,
    hooks: Vec<Hook>,
}

/// Programs attached.
pub struct Attached {
    pub ebpf: Ebpf,
    /// What became of each hook of the plan.
    pub hooks: Vec<Hook>,
    /// In the order they were attached.
    links: Vec<BtfTracePointLink>,
}

impl Loaded {
    /// Attaches every tracepoint of the plan, in its order.
    ///
    /// # Errors
    ///
    /// When the kernel refuses a required one; an optional one's refusal is told in `hooks`.
    pub fn attach(self) -> Result<Attached, LoadError> {
        let Self {
            mut ebpf,
            steps,
            mut hooks,
        } = self;
        let mut links = Vec::with_capacity(steps.len());
        for (step, hook) in steps.iter().zip(&mut hooks) {
            if hook.state == HookState::Attached && step.row.kind == Kind::Tracepoint {
                match link(&mut ebpf, step.row.program) {
                    Ok(link) => links.push(link),
                    Err(error) => refused(step, hook, &error)?,
                }
            }
        }
        Ok(Attached { ebpf, hooks, links })
    }
}

impl Attached {
    /// Whether a program runs.
    #[must_use]
    pub fn has(&self, program: &str) -> bool {
        let mut hooks = self.hooks.iter();
        hooks.any(|hook| hook.program == program && hook.state == HookState::Attached)
    }

    /// Detaches in the reverse order: beginnings before ends.
    pub fn detach(&mut self) {
        while let Some(link) = self.links.pop() {
            drop(link);
        }
    }
}

/// Creates the maps and loads every program of the plan.
///
/// # Errors
///
/// When the object or a required program is refused. An optional program's refusal is told in
/// `hooks`.
pub fn load(
    steps: Vec<Step>,
    layout: &Layout,
    params: &Params,
    sizes: &Sizes,
    log: KernelLog,
) -> Result<Loaded, LoadError> {
    let _room = Room::make();
    let (mut ebpf, btf) = object(layout, params, sizes, log)?;
    let mut loaded = verify::all(&mut ebpf, &steps, &btf);
    let hooks = steps.iter().map(|step| hook(step, &mut loaded));
    let hooks = hooks.collect::<Result<_, _>>()?;
    Ok(Loaded { ebpf, steps, hooks })
}

fn object(
    layout: &Layout,
    params: &Params,
    sizes: &Sizes,
    log: KernelLog,
) -> Result<(Ebpf, Btf), LoadError> {
    let level = match log {
        KernelLog::Off => 0u8,
        KernelLog::Debug => 4, // aya_log_common::Level::Debug
    };
    let mut loader = EbpfLoader::new();
    // It has parsed the kernel's BTF for itself: 15 MB that are freed before we do the same, since
    // it does not give it away and loading the programs needs it.
    loader.btf(None);
    let btf = Btf::from_sys_fs()?;
    loader
        .btf(Some(&btf))
        .override_global("LAYOUT", layout, true)
        .override_global("PARAMS", params, true)
        .override_global(aya_log::LEVEL, &level, true);
    for (map, entries) in sizes.maps() {
        loader.map_max_entries(map, entries);
    }
    let ebpf = loader.load(OBJECT)?;
    drop(loader);
    Ok((ebpf, btf))
}

fn hook(step: &Step, loaded: &mut HashMap<&str, Offered>) -> Result<Hook, LoadError> {
    let mut hook = step.hook();
    if step.verdict == Verdict::Load {
        let offered = loaded.remove(step.row.program);
        if let Err(error) = offered.unwrap_or(Err(ProgramError::NotLoaded)) {
            refused(step, &mut hook, &error)?;
        }
    }
    Ok(hook)
}

fn link(ebpf: &mut Ebpf, name: &str) -> Result<BtfTracePointLink, ProgramError> {
    let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?;
    let program: &mut BtfTracePoint = program.try_into()?;
    let id = program.attach()?;
    program.take_link(id)
}

/// A required program's refusal is an error; an optional one's is noted.
fn refused(step: &Step, hook: &mut Hook, error: &ProgramError) -> Result<(), LoadError> {
    let reason = describe(error);
    match step.row.need {
        Need::Required => Err(LoadError::Program {
            program: step.row.program.to_owned(),
            reason,
        }),
        Need::Optional(lack) => {
            hook.state = HookState::Failed;
            hook.reason = Some(format!("the kernel refused it ({reason}): {lack}"));
            hook.lack = Some(lack.to_owned());
            Ok(())
        }
    }
}

/// The last lines of the verifier's log say what it objects to.
fn describe(error: &ProgramError) -> String {
    if let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = error
    {
        let log = verifier_log.to_string();
        let tail: Vec<_> = log
            .lines()
            .rev()
            .filter(|l| !l.is_empty())
            .take(40)
            .collect();
        let tail: Vec<_> = tail.into_iter().rev().collect();
        return format!("{io_error}; {}", tail.join(" | "));
    }
    error.to_string()
}

/// Starts reading a program that is shown all tasks.
///
/// # Errors
///
/// When it is not loaded or the kernel refuses.
pub fn task_iterator(ebpf: &mut Ebpf, name: &str) -> Result<std::fs::File, ProgramError> {
    let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded)?;
    let program: &mut Iter = program.try_into()?;
    let id = program.attach()?;
    let link = program.take_link(id)?;
    link.into_file().map_err(|error| match error {
        LinkError::SyscallError(error) => ProgramError::SyscallError(error),
        _ => ProgramError::NotAttached,
    })
}
