//! The requests of a hardware queue by tag (block/blk-mq-tag.c).
//!
//! Their addresses are numbers to the verifier, and some lead to memory that is no request any more:
//! everything is copied by a helper that does not fault.

use stall_common::layout::ABSENT;
use stall_common::request::{OP_MASK, Op, PREFLUSH};

use super::{Request, layout, u32_at, u64_at};

/// A hardware queue's tags.
#[derive(Clone, Copy)]
pub(crate) struct Tags {
    /// Tells queues apart.
    pub(crate) address: u64,
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
    /// Those of a request; `None` on kernels that do not tell.
    #[inline(always)]
    pub(crate) fn of(request: Request) -> Option<Self> {
        if layout!(request_mq_hctx) == ABSENT {
            return None;
        }
        // Copied, though the verifier could type these: for each pointer it loads from an argument it looks for three names in all
        // of the kernel's BTF (`btf_nested_type_is_trusted` in kernel/bpf/verifier.c, since 6.4), once the greater part of its time.
        let pointer = |base, offset| u64_at(base, offset) as *const u8;
        let hctx = pointer(request.0, layout!(request_mq_hctx));
        let tags = pointer(hctx, layout!(hctx_tags));
        Some(Self {
            address: tags as u64,
            count: u32_at(tags, layout!(tags_nr_tags)),
            rqs: pointer(tags, layout!(tags_rqs)) as u64,
            queue: pointer(request.0, layout!(request_q)) as u64,
        })
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

    /// As of [`Request::op`].
    #[inline(always)]
    pub(crate) fn op(self) -> u8 {
        let flags = u32_at(self.at(), layout!(request_cmd_flags));
        let empty_preflush = flags & PREFLUSH != 0 && self.bytes_left() == 0;
        Op::number(flags & OP_MASK, empty_preflush)
    }
}
