//! Offers programs to the kernel, all at the same time: it takes up to a tenth of a second to check one.
//!
//! The threads that do it have ended when [`all`] returns.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::thread::{self, Scope, ScopedJoinHandle};

use aya::programs::{Program, ProgramError};
use aya::{Btf, Ebpf};

use super::plan::{Step, Verdict};

/// What the kernel says to a program.
pub(super) type Offered = Result<(), ProgramError>;

/// Times a program is offered to the kernel, which gives up checking it when the process is stopped or frozen (`EAGAIN`).
const OFFERS: usize = 10;

/// Loads each program that the steps want; by their names.
pub(super) fn all<'a>(ebpf: &mut Ebpf, steps: &'a [Step], btf: &Btf) -> HashMap<&'a str, Offered> {
    thread::scope(|scope| {
        let begun = ebpf.programs_mut().filter_map(|(name, program)| {
            let wanted = |step: &&Step| step.row.program == name && step.verdict == Verdict::Load;
            let row = steps.iter().find(wanted)?.row;
            Some((row.program, begin(scope, program, row.hook, btf)))
        });
        let begun: Vec<_> = begun.collect();
        let ended = begun.into_iter().map(|(name, thread)| (name, end(thread)));
        ended.collect()
    })
}

type Thread<'scope> = std::io::Result<ScopedJoinHandle<'scope, Offered>>;

fn begin<'scope, 'env: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    program: &'scope mut Program,
    hook: &'scope str,
    btf: &'scope Btf,
) -> Thread<'scope> {
    let named = thread::Builder::new().name("load".to_owned());
    named.spawn_scoped(scope, move || offer(program, hook, btf))
}

fn end(thread: Thread<'_>) -> Offered {
    let ended = thread.map_err(ProgramError::IOError)?.join();
    // A panic's words are on stderr.
    ended.unwrap_or(Err(ProgramError::NotLoaded))
}

fn offer(program: &mut Program, hook: &str, btf: &Btf) -> Offered {
    let mut offered = load(program, hook, btf);
    for _ in 1..OFFERS {
        if !offered.as_ref().is_err_and(is_disturbed) {
            break;
        }
        offered = load(program, hook, btf);
    }
    offered
}

fn load(program: &mut Program, hook: &str, btf: &Btf) -> Offered {
    match program {
        Program::BtfTracePoint(program) => program.load(hook, btf),
        Program::Iter(program) => program.load(hook, btf),
        _ => Err(ProgramError::NotLoaded),
    }
}

fn is_disturbed(error: &ProgramError) -> bool {
    matches!(error, ProgramError::LoadError { io_error, .. } if io_error.kind() == ErrorKind::WouldBlock)
}
