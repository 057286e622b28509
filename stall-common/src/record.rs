//! Records: what is rare enough to be sent one by one through the ring buffer.
//!
//! Each starts with a [`Header`] whose `kind` tells which struct it is.

use crate::actor::{ARGS_LEN, COMM_LEN};
use crate::disk::NAME_LEN;

/// What a record is.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Process`]
    Process = 1,
    /// [`NewDisk`]
    NewDisk = 2,
    /// [`Task`]
    Task = 3,
    /// [`EndedRequest`] that was slow
    SlowRequest = 4,
    /// [`EndedRequest`] that was a discard
    Discard = 5,
    /// [`EndedSleep`]
    LongSleep = 6,
    /// [`Exit`]
    Exit = 7,
}

impl Kind {
    /// From its number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Process,
            2 => Self::NewDisk,
            3 => Self::Task,
            4 => Self::SlowRequest,
            5 => Self::Discard,
            6 => Self::LongSleep,
            7 => Self::Exit,
            _ => return None,
        })
    }
}

/// Element of `BUDGETS`, of which each kind of record that may come in masses has one: how many are sent in an interval.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Sent so far; user space sets it back when it begins an interval.
    pub sent: u64,
    /// No more are sent than this.
    pub most: u32,
    /// One of so many is sent, drawn at random: as many as let the interval before have kept within it. 0 is as 1.
    pub one_of: u32,
}

/// Index of the budget of slow requests.
pub const SLOW_REQUESTS: u32 = 0;
/// Of discards.
pub const DISCARDS: u32 = 1;
/// Of sleeps.
pub const SLEEPS: u32 = 2;
/// Budgets there are.
pub const BUDGETS: u32 = 3;
/// Slow requests of a row of uses that are not thinned out, by copy of the row.
pub const FEW: u64 = 32;

/// First bytes of each record.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// [`Kind`] as a number.
    pub kind: u32,
    /// Always 0.
    pub reserved: u32,
    /// When it was sent.
    pub time_ns: u64,
}

/// A process seen submitting I/O for the first time.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Process {
    /// Header.
    pub header: Header,
    /// `start_boottime` of the group leader.
    pub start_boottime_ns: u64,
    /// Id in the unified cgroup hierarchy.
    pub cgroup: u64,
    /// Id of the actor.
    pub actor: u32,
    /// Process.
    pub tgid: u32,
    /// Thread that submitted.
    pub tid: u32,
    /// 1 for a kernel thread.
    pub kernel_thread: u32,
    /// Bytes of `args` that hold something.
    pub args_len: u32,
    /// Length of the whole command line, bytes.
    pub args_total: u32,
    /// Name of the group leader.
    pub comm: [u8; COMM_LEN],
    /// Beginning of the command line; arguments end in NUL.
    pub args: [u8; ARGS_LEN],
}

/// A disk seen for the first time.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NewDisk {
    /// Header.
    pub header: Header,
    /// Index; [`crate::disk::NO_ROOM`] for one that is not measured.
    pub disk: u32,
    /// `major << 20 | minor`
    pub dev: u32,
    /// `gendisk.disk_name`
    pub name: [u8; NAME_LEN],
}

/// A task seen in D for at least `Params::stack_min_ns` for the first time.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// Header.
    pub header: Header,
    /// `start_boottime` of the thread.
    pub start_boottime_ns: u64,
    /// Id of the task.
    pub task: u32,
    /// Thread.
    pub tid: u32,
    /// Process.
    pub tgid: u32,
    /// 1 for a kernel thread.
    pub kernel_thread: u32,
    /// Name of the thread.
    pub comm: [u8; COMM_LEN],
}

/// A request that was slow, or a discard.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EndedRequest {
    /// Header; its time is the completion.
    pub header: Header,
    /// What was known of the request.
    pub request: crate::request::Slot,
    /// Time during which a discard was in flight on its disk.
    pub overlap_ns: u64,
    /// Completed - max(queued, last completion on the disk before); 0 when it was too short to be asked for.
    pub service_ns: u64,
}

/// A sleep of at least `Params::slow_ns`, or one older than the first hook.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct EndedSleep {
    /// Header; its time is the wake-up.
    pub header: Header,
    /// When it fell asleep.
    pub start_ns: u64,
    /// When it was first seen asleep.
    pub seen_ns: u64,
    /// Id of the stack, or 0.
    pub stack: u64,
    /// Id of the task.
    pub task: u32,
    /// [`crate::blocked::KIND_KILLABLE`], [`crate::blocked::KIND_IO_WAIT`].
    pub kind: u32,
    /// `start_boottime` of the thread that ran where the wake-up was done: the waker, unless an interrupt
    /// was.
    pub waker_start_boottime_ns: u64,
    /// That thread; 0 for an idle CPU.
    pub waker_tid: u32,
    /// Its process.
    pub waker_tgid: u32,
    /// 1 for a kernel thread.
    pub waker_kernel_thread: u32,
    /// Always 0.
    pub reserved: u32,
    /// Its name.
    pub waker_comm: [u8; COMM_LEN],
}

/// The group leader of a known actor exited.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Exit {
    /// Header.
    pub header: Header,
    /// Id of the actor.
    pub actor: u32,
    /// Process.
    pub tgid: u32,
    /// Its name in the end: it may have become another program after its first request.
    pub comm: [u8; COMM_LEN],
}

crate::abi!(
    Header: 16,
    Budget: 16,
    Process: 16 + 16 + 24 + COMM_LEN + ARGS_LEN,
    NewDisk: 24 + NAME_LEN,
    Task: 40 + COMM_LEN,
    EndedRequest: 16 + 72 + 16,
    EndedSleep: 72 + COMM_LEN,
    Exit: 24 + COMM_LEN,
);
