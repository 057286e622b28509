//! `struct bio` (include/linux/blk_types.h).

use stall_common::layout::ABSENT;
use stall_common::request::{Op, PREFLUSH};

use super::{Request, layout, load};

/// A bio given to a tracepoint.
#[derive(Clone, Copy)]
pub(crate) struct Bio(*const u8);

impl Bio {
    /// Wraps a tracepoint's argument.
    ///
    /// # Safety
    ///
    /// `pointer` is a `struct bio *` argument of the tracepoint that runs.
    #[inline(always)]
    pub(crate) unsafe fn new(pointer: *const u8) -> Self {
        Self(pointer)
    }

    #[inline(always)]
    pub(crate) fn address(self) -> u64 {
        self.0 as u64
    }

    /// Whether whoever asks for it is asked for the reason: discards and their kind.
    #[inline(always)]
    pub(crate) fn op(self) -> u8 {
        self.flags()
            .map_or(Op::Other as u8, |flags| Op::number(flags, true))
    }

    /// Whether it asks for a flush before it.
    #[inline(always)]
    pub(crate) fn has_preflush(self) -> bool {
        self.flags().is_some_and(|flags| flags & PREFLUSH != 0)
    }

    #[inline(always)]
    fn flags(self) -> Option<u32> {
        if layout!(bio_opf) == ABSENT {
            return None;
        }
        // SAFETY: `bi_opf` of a bio is a u32.
        Some(unsafe { load(self.0, layout!(bio_opf)) })
    }
}

impl Request {
    /// The address of its first bio; 0 for a request without one.
    #[inline(always)]
    pub(crate) fn first_bio(self) -> u64 {
        if layout!(request_bio) == ABSENT {
            return 0;
        }
        // SAFETY: `bio` of a request is a pointer, whose value alone is used.
        let bio: *const u8 = unsafe { load(self.0, layout!(request_bio)) };
        bio as u64
    }

    /// The address of its last bio; 0 for a request without one.
    #[inline(always)]
    pub(crate) fn last_bio(self) -> u64 {
        if layout!(request_biotail) == ABSENT {
            return 0;
        }
        // SAFETY: as above, of `biotail`.
        let bio: *const u8 = unsafe { load(self.0, layout!(request_biotail)) };
        bio as u64
    }
}
