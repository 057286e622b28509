//! Completions that may have been reported by one interrupt.
//!
//! A driver handles all that ended by one interrupt at once, and not in the order in which the disk ended them: those that collect
//! them (NVMe's, virtio-blk's) go through them backwards from 5.16 to 6.12 (`rq_list_add` in `blk_mq_add_to_batch`,
//! include/linux/blk-mq.h; later `rq_list_add_tail`). Two CPUs that handle an end each are no better.

/// However slow the machine, and emulated: no further apart than this.
const MOST_NS: u64 = 4_000_000;
/// Nor further than this part of what the ends are the ends of, as 1 / it: what a disk serves in turn ends further apart.
const PART: u64 = 64;

/// How far apart the ends of one interrupt may be told, nanoseconds; the first of them ended a span of `span_ns`.
pub(super) const fn within_ns(span_ns: u64) -> u64 {
    let part_ns = span_ns / PART;
    if part_ns < MOST_NS { part_ns } else { MOST_NS }
}
