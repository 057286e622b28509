//! The requests of a hardware queue by tag (block/blk-mq-tag.c).
//!
//! Their addresses are numbers to the verifier, and some lead to memory that is no request any more:
//! everything is copied by a helper that does not fault.

use stall_common::layout::ABSENT;
use stall_common::older::Waiter;
use stall_common::request::Op;

use super::{layout, u32_at, u64_at};

/// A hardware queue's tags.
#[derive(Clone, Copy)]
pub(crate) struct Tags {
    pub(crate) count: u32,
    /// The request queue, which tells the disk.
    pub(crate) queue: u64,
    /// Where the addresses of the requests are, by tag.
    pub(crate) rqs: u64,
}

/// A request that may be one.
#[derive(Clone, Copy)]
pub(crate) struct Suspect(u64);

impl Tags {
    /// Those whose address is at a place, of a queue.
    #[inline(always)]
    pub(crate) fn at(place: u64, queue: u64) -> Self {
        let tags = u64_at(place as *const u8, 0) as *const u8;
        Self {
            count: u32_at(tags, layout!(tags_nr_tags)),
            rqs: u64_at(tags, layout!(tags_rqs)),
            queue,
        }
    }
}

impl Suspect {
    /// The request that has a tag, when it is of that queue and the driver has it.
    #[inline(always)]
    pub(crate) fn at_tag(place: u64, queue: u64) -> Option<Self> {
        let suspect = Self(u64_at(place as *const u8, 0));
        let state = u32_at(suspect.at(), layout!(request_state));
        let of = u64_at(suspect.at(), layout!(request_q));
        let there = state == layout!(mq_rq_in_flight) && of == queue;
        (suspect.0 != 0 && there).then_some(suspect)
    }

    pub(crate) fn new(address: u64) -> Self {
        Self(address)
    }

    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        self.0
    }

    #[inline(always)]
    fn at(self) -> *const u8 {
        self.0 as *const u8
    }

    #[inline(always)]
    pub(crate) fn start_time_ns(self) -> u64 {
        u64_at(self.at(), layout!(request_start_time_ns))
    }

    #[inline(always)]
    pub(crate) fn sector(self) -> u64 {
        u64_at(self.at(), layout!(request_sector))
    }

    #[inline(always)]
    pub(crate) fn bytes_left(self) -> u32 {
        u32_at(self.at(), layout!(request_data_len))
    }

    /// The pointers that lead to the task waiting for it; none on kernels without them.
    #[inline(always)]
    pub(crate) fn waiter(self) -> Waiter {
        let mut waiter = Waiter::default();
        if layout!(task_stack) == ABSENT {
            return waiter;
        }
        let private = |bio: u64| u64_at(bio as *const u8, layout!(bio_private));
        let pointers = &mut waiter.pointers;
        pointers[0] = private(u64_at(self.at(), layout!(request_bio)));
        // The bios of a long discard are chained by `bi_private`, and the waiter waits for the last.
        pointers[1] = private(pointers[0]);
        pointers[2] = private(pointers[1]);
        pointers[3] = private(pointers[2]);
        let direct = pointers[0] as *const u8;
        pointers[4] = u64_at(direct, layout!(iomap_dio_waiter));
        pointers[5] = u64_at(direct, layout!(blkdev_dio_waiter));
        waiter
    }

    /// As of [`super::Request::op`].
    #[inline(always)]
    pub(crate) fn op(self) -> u8 {
        let flags = u32_at(self.at(), layout!(request_cmd_flags));
        Op::number(flags, self.bytes_left() != 0)
    }
}
