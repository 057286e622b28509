//! For whom a thread of the kernel submits: the control group that its I/O is charged to.

/// Key of `OWNERS`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OwnerKey {
    /// Id of the control group in its hierarchy, that of the I/O controller.
    pub cgroup: u64,
    /// Id of the actor that submitted.
    pub actor: u32,
    /// Index of the disk.
    pub disk: u16,
    /// [`crate::request::Op`] as a number.
    pub op: u16,
}

/// Value of `OWNERS`: what one actor did for one control group. Counted at completion.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owned {
    /// Requests completed.
    pub ops: u64,
    /// Bytes completed.
    pub bytes: u64,
    /// Sum of completed - queued.
    pub total_ns: u64,
    /// As in [`crate::actor::Use`].
    pub service_ns: u64,
}

crate::abi!(OwnerKey: 16, Owned: 32);
