//! `struct request` (include/linux/blk-mq.h).

use stall_common::layout::ABSENT;
use stall_common::request::{Op, PREFLUSH};

use super::{Gendisk, distance, layout, load};

/// A request given to a tracepoint.
#[derive(Clone, Copy)]
pub(crate) struct Request(pub(super) *const u8);

impl Request {
    /// Wraps a tracepoint's argument.
    ///
    /// # Safety
    ///
    /// `pointer` is a `struct request *` argument of the tracepoint that runs.
    #[inline(always)]
    pub(crate) unsafe fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }

    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        self.0 as u64
    }

    /// Its distance from a fixed address.
    #[inline(always)]
    pub(crate) fn distance<T>(self, from: *const T) -> u64 {
        distance(self.0, from)
    }

    /// The operation as it is now: the flush machinery rewrites the flags of a request on its way,
    /// so it is asked for at submission, and at issue only for what was never submitted.
    #[inline(always)]
    pub(crate) fn op(self) -> u8 {
        self.op_of(false)
    }

    /// The same of one that is known to have asked for a flush before it, or not to have said so.
    #[inline(always)]
    pub(crate) fn op_of(self, preflush: bool) -> u8 {
        // SAFETY: `cmd_flags` of a request is a u32.
        let flags: u32 = unsafe { load(self.0, layout!(request_cmd_flags)) };
        let flags = flags | if preflush { PREFLUSH } else { 0 };
        Op::number(flags, self.bytes_left() != 0)
    }

    /// Bytes not yet completed.
    #[inline(always)]
    pub(crate) fn bytes_left(self) -> u32 {
        // SAFETY: `__data_len` of a request is a u32.
        unsafe { load(self.0, layout!(request_data_len)) }
    }

    #[inline(always)]
    pub(crate) fn sector(self) -> u64 {
        // SAFETY: `__sector` of a request is a u64.
        unsafe { load(self.0, layout!(request_sector)) }
    }

    /// Whether it is on its way through the flush sequence (block/blk-flush.c).
    #[inline(always)]
    pub(crate) fn in_flush_sequence(self) -> bool {
        // SAFETY: `rq_flags` of a request is a u32.
        let flags: u32 = unsafe { load(self.0, layout!(request_rq_flags)) };
        flags & layout!(rqf_flush_seq) != 0
    }

    /// The kernel's stamp of its allocation; 0 where it keeps none.
    #[inline(always)]
    pub(crate) fn start_time_ns(self) -> u64 {
        if layout!(request_start_time_ns) == ABSENT {
            return 0;
        }
        // SAFETY: `start_time_ns` of a request is a u64.
        unsafe { load(self.0, layout!(request_start_time_ns)) }
    }

    /// Its disk; null for a request sent to no disk.
    #[inline(always)]
    pub(crate) fn disk(self) -> Gendisk {
        // SAFETY: pointers to a gendisk and to the queue that has one, by BTF.
        unsafe {
            if layout!(request_rq_disk) != ABSENT {
                return Gendisk::new(load(self.0, layout!(request_rq_disk)));
            }
            let queue: *const u8 = load(self.0, layout!(request_q));
            Gendisk::new(load(queue, layout!(queue_disk)))
        }
    }
}
