//! What the programs are told once, before load: thresholds and sizes.

/// Written into the frozen `PARAMS` global.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// A request whose total is at least this is slow; a sleep of at least this is recorded, ns.
    pub slow_ns: u64,
    /// A sleep of at least this gets its stack taken, ns.
    pub stack_min_ns: u64,
    /// 1 when only disks listed in `DISK_FILTER` are traced.
    pub filter: u32,
    /// Copies of each histogram, less one; a power of two less one. The CPU's number is masked
    /// with it.
    pub copies_mask: u32,
    /// 1 when `block_getrq` notes who submits: on kernels without `block_io_start`.
    pub noted: u32,
    /// 1 where programs can have the running task with its type (`bpf_get_current_task_btf`, 5.11).
    pub typed_current: u32,
    /// Rows of uses.
    pub rows: u32,
    /// Always 0.
    pub reserved: u32,
}

crate::abi!(Params: 40);
