//! What the process gives up once its hooks are attached, so that whoever took it over by a hostile name, or whatever
//! goes wrong in it, can do little: capabilities, new privileges, most system calls. And what it takes: the memory it
//! has, so that it need not be read from a disk that hangs.
//!
//! Nothing here ends a trace: what the kernel refuses is told in the report. All of it is for the thread that calls and
//! those it starts afterwards, so it comes before them.

mod calls;
pub mod capability;
pub mod entry;
mod filter;
pub mod memory;

use std::path::Path;

use capability::{Capability, Until};

use stall_capture::{Confinement, Lacking};

/// Gives up what the rest of the run does not need. `works` tells whether the BPF maps and the iterator can be used, with
/// the capabilities that are effective when it is called.
pub fn confine(works: impl FnMut() -> bool) -> Confinement {
    let lacking = lacking();
    // First: with MCL_FUTURE the kernel asks for CAP_IPC_LOCK at each later mapping, which stays.
    let memory = memory::lock();
    let kept = capability::drop_all_but(&capability::needed_from_now_on(works));
    let no_new_privileges = rustix::thread::set_no_new_privs(true).is_ok();
    // Last: it forbids what was just done.
    let filter = filter::install();
    let mut refused = Vec::new();
    refused.extend(memory.as_ref().err().cloned());
    refused.extend(kept.as_ref().err().cloned());
    refused.extend(filter.as_ref().err().cloned());
    let names = |all: &[Capability]| all.iter().map(|it| it.name.to_owned()).collect();
    Confinement {
        capabilities: names(&capability::held()),
        no_new_privileges,
        system_call_filter: filter.is_ok(),
        memory_locked: memory.is_ok(),
        memory_locked_bytes: None,
        refused,
        lacking,
    }
}

/// Gives up what a process does not need that only writes a file it has the directory of, or stdout. What the kernel
/// refuses it refuses the process that traces, too, and that tells it.
pub(crate) fn confine_writer(file: Option<&Path>) {
    let _memory = memory::lock();
    let _kept = capability::drop_all_but(&capability::needed_to_write(file));
    let _privileges = rustix::thread::set_no_new_privs(true);
    let _filter = filter::install();
}

/// What this thread lacks of the capabilities that a trace can do without. That the outputs can be written is made
/// sure of elsewhere.
#[must_use]
pub fn lacking() -> Vec<Lacking> {
    let missing = capability::missing();
    let missing = missing.iter().filter(|it| it.until != Until::Outputs);
    let rows = missing.map(|it| Lacking {
        capability: it.name.to_owned(),
        lack: it.lack.to_owned(),
    });
    rows.collect()
}
