//! What a program of the task iterator is given.

/// `struct bpf_iter__task` (kernel/bpf/task_iter.c).
#[repr(C)]
pub(crate) struct Context {
    /// `struct bpf_iter_meta *`, whose first field is the `struct seq_file *` to write to.
    pub(crate) meta: *const *mut core::ffi::c_void,
    /// Null at the end.
    pub(crate) task: *const u8,
}
