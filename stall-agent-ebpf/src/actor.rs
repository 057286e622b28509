//! Who submits: the process of the running task, known by its tgid and its start.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::helpers::{bpf_get_current_pid_tgid, generated::bpf_get_current_cgroup_id};
use aya_ebpf::{macros::map, maps::Array, maps::HashMap};
use aya_log_ebpf::debug;
use stall_common::actor::{Actor, FIRST, UNKNOWN};
use stall_common::loss::Loss;
use stall_common::record::{Exit, Kind, Process};

use crate::kernel::{Either, Task};
use crate::{counter, loss, record};

#[map]
static ACTORS: HashMap<u32, Actor> = HashMap::with_max_entries(4096, 0);

/// Ids assigned so far, less [`FIRST`].
#[map]
static ACTOR_IDS: Array<u64> = Array::with_max_entries(1, 0);

/// Id of the running process. Sends a record when it is new.
#[inline(always)]
pub(crate) fn current() -> u32 {
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    let leader = Task::<Either>::current().leader();
    let start = leader.start_boottime_ns();
    known(tgid, start).unwrap_or_else(|| introduce(tgid, leader, start))
}

#[inline(always)]
fn known(tgid: u32, start_boottime_ns: u64) -> Option<u32> {
    // SAFETY: elements are written once, whole, and deleted by the exit of their process only.
    let known = unsafe { &*ACTORS.get_ptr(tgid)? };
    (known.start_boottime_ns == start_boottime_ns).then_some(known.id)
}

/// Ends an actor when its group leader exits, and sends a record. Its requests keep the id. Threads that outlive the leader
/// become another actor when they submit, which ends with the next of them that exits.
#[inline(always)]
pub(crate) fn exited(leader: Task) {
    let tgid = leader.tid();
    let Some(actor) = forget(tgid) else {
        return;
    };
    record::send(Kind::Exit, |to: *mut Exit| {
        // SAFETY: a reserved record; each field is written.
        unsafe {
            (*to).actor = actor;
            (*to).tgid = tgid;
            leader.copy_comm(&raw mut (*to).comm);
        }
    });
}

/// Returns its id, if it submitted anything.
#[inline(always)]
fn forget(tgid: u32) -> Option<u32> {
    // SAFETY: elements are written once, whole, and deleted by the exit of their process only.
    let id = ACTORS.get_ptr(tgid).map(|known| unsafe { (*known).id })?;
    let _absent = ACTORS.remove(tgid);
    Some(id)
}

#[inline(never)]
fn introduce(tgid: u32, leader: Task<Either>, start_boottime_ns: u64) -> u32 {
    let Some(ids) = ACTOR_IDS.get_ptr_mut(0) else {
        return UNKNOWN;
    };
    // SAFETY: a pointer to an element of an array map.
    let Some(number) = (unsafe { counter::take(ids) }) else {
        loss::count(Loss::Contended);
        return UNKNOWN;
    };
    let id = FIRST + number as u32;
    let actor = Actor {
        start_boottime_ns,
        id,
        reserved: 0,
    };
    if ACTORS.insert(tgid, actor, BPF_NOEXIST.into()).is_err() {
        // Another thread of the process was faster; this number stays unused.
        if let Some(known) = known(tgid, start_boottime_ns) {
            return known;
        }
        // Replaces the exited process whose tgid was reused.
        if ACTORS.insert(tgid, actor, 0).is_err() {
            loss::count(Loss::ActorsFull);
            return UNKNOWN;
        }
    }
    debug!((), "actor {} is process {}", id, tgid);
    announce(id, leader, start_boottime_ns);
    id
}

#[inline(always)]
fn announce(actor: u32, leader: Task<Either>, start_boottime_ns: u64) {
    record::send(Kind::Process, |to: *mut Process| {
        let ids = bpf_get_current_pid_tgid();
        // SAFETY: a reserved record; each field is written.
        unsafe {
            (*to).start_boottime_ns = start_boottime_ns;
            (*to).cgroup = bpf_get_current_cgroup_id();
            (*to).actor = actor;
            (*to).tgid = (ids >> 32) as u32;
            (*to).tid = ids as u32;
            (*to).kernel_thread = leader.is_kernel_thread().into();
            leader.copy_comm(&raw mut (*to).comm);
            let (len, total) = Task::<Either>::current().copy_args(&raw mut (*to).args);
            (*to).args_len = len;
            (*to).args_total = total;
        }
    });
}
