//! What threads wrote into the page cache or to disks: `task_struct.ioac`.

use crate::actor::COMM_LEN;

/// A thread that wrote less in its whole life is not reported.
pub const LEAST: u64 = 64 << 10;
/// Devices kept per thread of the files it has open for writing.
pub const DEVICES: usize = 8;
/// Files looked at: the first of its table.
pub const FILES: u32 = 32;
/// Exited processes kept; the bytes of others are summed up under [`OTHERS`].
pub const ENDED: u32 = 2048;
/// The key of all that are not kept.
pub const OTHERS: ProcessKey = ProcessKey {
    start_boottime_ns: 0,
    tgid: 0,
    reserved: 0,
};

/// What the iterator writes for each thread that has written something.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadIo {
    /// `start_boottime` of the group leader.
    pub start_boottime_ns: u64,
    /// `ioac.write_bytes`
    pub written: u64,
    /// `ioac.cancelled_write_bytes`: pages it threw away before they were written, by whomever they were made.
    pub cancelled: u64,
    /// Process.
    pub tgid: u32,
    /// 1 for a kernel thread.
    pub kernel_thread: u32,
    /// Name of the group leader.
    pub comm: [u8; COMM_LEN],
    /// What it has open for writing.
    pub open: Devices,
}

/// Of regular files the filesystem's device, of block devices themselves; in the order of their descriptors, from the
/// first on again when there are more.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// `major << 20 | minor`, 0 for none
    pub devices: [u32; DEVICES],
    /// Files counted.
    pub count: u32,
    /// Always 0.
    pub reserved: u32,
}

/// Key of `ENDED_IO`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProcessKey {
    /// `start_boottime` of the group leader.
    pub start_boottime_ns: u64,
    /// Process.
    pub tgid: u32,
    /// Always 0.
    pub reserved: u32,
}

/// Value of `ENDED_IO`: threads of one process that ended while the hooks were attached.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndedIo {
    /// In all their lives.
    pub written: u64,
    /// The same of `cancelled_write_bytes`.
    pub cancelled: u64,
    /// Id in the unified cgroup hierarchy.
    pub cgroup: u64,
    /// Process that started it.
    pub parent: u32,
    /// 1 for a kernel thread.
    pub kernel_thread: u32,
    /// Name of the group leader.
    pub comm: [u8; COMM_LEN],
    /// Of the thread that ended first.
    pub open: Devices,
}

crate::abi!(
    ThreadIo: 32 + COMM_LEN + 8 + 4 * DEVICES,
    Devices: 8 + 4 * DEVICES,
    ProcessKey: 16,
    EndedIo: 32 + COMM_LEN + 8 + 4 * DEVICES,
);
