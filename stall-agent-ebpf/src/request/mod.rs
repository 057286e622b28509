//! The life of a block request. Entry points; the rules are in `life` and `end`.

mod end;
mod life;
mod noted;
mod older;
mod place;
mod search;
mod service;
mod slot;
mod tally;

use aya_ebpf::EbpfContext as _;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::kernel::{Bio, Request, Typed};

/// In the submitter's context, before a plug or a worker can take the request over (6.5 and
/// later).
///
/// match-proto: `block_io_start(struct request *rq)`
#[btf_tracepoint(function = "block_io_start")]
fn block_io_start(ctx: BtfTracePointContext) {
    life::submitted::<Typed>(ctx.as_ptr(), request(&ctx));
}

/// A bio gets its request, in the submitter's context, on kernels without `block_io_start`.
///
/// match-proto: `block_getrq(struct bio *bio)`
#[btf_tracepoint(function = "block_getrq")]
fn block_getrq(ctx: BtfTracePointContext) {
    // SAFETY: the first argument is the bio.
    noted::note(ctx.as_ptr(), unsafe { Bio::new(ctx.arg(0)) });
}

/// Up to 5.10 the queue comes first.
///
/// match-proto: `block_getrq(struct request_queue *q, struct bio *bio, int rw)`
#[btf_tracepoint(function = "block_getrq")]
fn block_getrq_three(ctx: BtfTracePointContext) {
    // SAFETY: the second argument is the bio.
    noted::note(ctx.as_ptr(), unsafe { Bio::new(ctx.arg(1)) });
}

/// The first sight of a request on kernels without `block_io_start`; requests that are issued
/// directly skip it. Also of one that comes back after a requeue.
///
/// match-proto: `block_rq_insert(struct request *rq)`
#[btf_tracepoint(function = "block_rq_insert")]
fn block_rq_insert(ctx: BtfTracePointContext) {
    life::inserted(ctx.as_ptr(), request(&ctx));
}

/// On any CPU and in any task: a worker flushes other tasks' plugs.
///
/// match-proto: `block_rq_issue(struct request *rq)`
#[btf_tracepoint(function = "block_rq_issue")]
fn block_rq_issue(ctx: BtfTracePointContext) {
    life::issued(request(&ctx));
}

/// The driver could not take it; it will be issued again.
///
/// match-proto: `block_rq_requeue(struct request *rq)`
#[btf_tracepoint(function = "block_rq_requeue")]
fn block_rq_requeue(ctx: BtfTracePointContext) {
    life::requeued(request(&ctx));
}

/// Its bios were merged into another request; it will never complete.
///
/// match-proto: `block_rq_merge(struct request *rq)`
#[btf_tracepoint(function = "block_rq_merge")]
fn block_rq_merge(ctx: BtfTracePointContext) {
    life::merged(request(&ctx));
}

/// Some or all of the rest of it has completed. In an interrupt, on any CPU.
///
/// match-proto: `block_rq_complete(struct request *rq, blk_status_t error, unsigned int nr_bytes)`
#[btf_tracepoint(function = "block_rq_complete")]
fn block_rq_complete(ctx: BtfTracePointContext) {
    let error: u32 = ctx.arg(1);
    let bytes: u32 = ctx.arg(2);
    end::completed(request(&ctx), error & 0xff != 0, bytes);
}

#[inline(always)]
fn request(ctx: &BtfTracePointContext) -> Request {
    // SAFETY: the first argument of all of these tracepoints is the request.
    unsafe { Request::new(ctx.arg(0)) }
}
