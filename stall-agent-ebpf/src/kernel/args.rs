//! The command line of the running task.

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use stall_common::actor::ARGS_LEN;
use stall_common::layout::ABSENT;

use super::reach::Reach;
use super::{Task, layout, u64_at};

impl<R: Reach> Task<R> {
    /// Copies the beginning of the command line; only of the running task. Returns the number of
    /// bytes copied and the length of the whole.
    #[inline(always)]
    pub(crate) fn copy_args(self, to: *mut [u8; ARGS_LEN]) -> (u32, u32) {
        if layout!(task_mm) == ABSENT {
            return (0, 0);
        }
        // Copied for the verifier's sake, as `Tags::of` does.
        let mm = u64_at(self.0, layout!(task_mm)) as *const u8;
        if mm.is_null() {
            return (0, 0);
        }
        let start = u64_at(mm, layout!(mm_arg_start));
        let end = u64_at(mm, layout!(mm_arg_end));
        let total = end.saturating_sub(start);
        let len = if total > ARGS_LEN as u64 {
            ARGS_LEN as u64
        } else {
            total
        };
        // SAFETY: at most ARGS_LEN bytes into a field of that size; the helper does not fault.
        let failed = unsafe { bpf_probe_read_user(to.cast(), len as u32, start as *const _) } != 0;
        (if failed { 0 } else { len as u32 }, total as u32)
    }
}
