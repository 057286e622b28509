//! Who submitted I/O: a process, known by its tgid *and* its start.

/// Process ids in `ACTORS` values and everywhere else: given once, never reused. This one stands
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

/// Key of `USES`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UseKey {
    /// Id of the actor.
    pub actor: u32,
    /// Index of the disk.
    pub disk: u16,
    /// [`crate::request::Op`] as a number.
    pub op: u16,
}

/// Value of `USES`: what one actor did on one disk with one operation, and what it met there.
/// Counted at completion.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Requests completed.
    pub ops: u64,
    /// Bytes completed.
    pub bytes: u64,
    /// Sum of issued - queued.
    pub queue_ns: u64,
    /// Sum of completed - issued.
    pub device_ns: u64,
    /// Sum of completed - queued.
    pub total_ns: u64,
    /// Longest completed - queued.
    pub slowest_ns: u64,
    /// Requests whose total was at least `Params::slow_ns`.
    pub slow_ops: u64,
    /// Sum of completed - queued of the slow.
    pub slow_total_ns: u64,
    /// Sum of completed - max(queued, last completion on the disk before), of requests of at least
    /// [`crate::request::SERVICE_MIN_NS`].
    pub service_ns: u64,
    /// Requests that overlapped a discard in flight on their disk.
    pub exposed_ops: u64,
    /// Requests that were both.
    pub exposed_slow_ops: u64,
    /// Sum of totals of the exposed.
    pub exposed_total_ns: u64,
    /// Sum of time during which a discard was in flight.
    pub overlap_ns: u64,
    /// Index of its element of `SIDES` ([`crate::exposure`]).
    pub sides: u32,
    /// Always 0.
    pub reserved: u32,
}

crate::abi!(Actor: 16, UseKey: 8, Use: 112);
