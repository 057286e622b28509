//! Who submitted I/O: a process, known by its tgid *and* its start.

/// Process ids in `ACTORS` values and everywhere else: assigned once, never reused. This one stands
/// for a submitter that is not known (the request was older than the first hook, or `ACTORS` was
/// full).
pub const UNKNOWN: u32 = 0;
/// Stands for the block layer's own flush requests, which have waiters but no submitter
/// (block/blk-flush.c).
pub const FLUSH_MACHINERY: u32 = 1;
/// First id given to a process.
pub const FIRST: u32 = 2;

/// Bytes of command line kept in a record.
pub const ARGS_LEN: usize = 256;
/// `TASK_COMM_LEN`.
pub const COMM_LEN: usize = 16;

/// Value of `ACTORS`; the key is the tgid.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// `task_struct.start_boottime` of the group leader: tells a reused tgid.
    pub start_boottime_ns: u64,
    /// Its id.
    pub id: u32,
    /// Always 0.
    pub reserved: u32,
}

crate::abi!(Actor: 16);
