//! Operations are kept apart, each counted exactly, on a bare disk that does what it is told.

use anyhow::Result;
use stall_agent::capture::Op;
use stall_tests::staged::StagedDisk;

use crate::harness::agent::Agent;
use crate::harness::compare::{equals_kernel, traced};
use crate::harness::load::Load;
use crate::harness::same;
use crate::harness::test::Test;

pub(crate) const TESTS: &[Test] = &[Test::new("each_is_counted_as_what_it_is", each)];

const MIB: u64 = 1 << 20;

/// Check that a read, write, discard, zeroing and flush are each counted as what they are, with
/// their bytes, and attributed to the process that asked for them; a flush has a waiter and no owner.
fn each() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let steps = [
        "read:0:4096:50:8192",
        "write:0:8192:40",
        "discard:0:1048576:7",
        "zero:8388608:2097152:5",
        "sync:3",
    ];
    let act = || Load::run("each-op", &disk.device(), &steps);
    let (trace, counted, done) = traced(&disk, &Agent::on(&disk), act)?;
    equals_kernel(&trace, &disk, &counted)?;
    let expected = [
        (Op::Read, 50, 50 * 4096),
        (Op::Write, 40, 40 * 8192),
        (Op::Discard, 7, 7 * MIB),
        (Op::WriteZeroes, 5, 10 * MIB),
        (Op::Preflush, 3, 0),
    ];
    for (op, ops, bytes) in expected {
        let used = trace.use_of(&disk, done.pid, op)?;
        same(&format!("{op:?}"), used.ops, ops)?;
        same(&format!("bytes of {op:?}"), used.bytes, bytes)?;
    }
    same("Flush", trace.ops(&disk, Op::Flush), 3)?;
    for used in trace.uses(&disk).filter(|used| used.op == Op::Flush) {
        let machinery = stall_common::actor::FLUSH_MACHINERY;
        same("owner of flushes", used.actor.into(), machinery.into())?;
    }
    same("SecureErase", trace.ops(&disk, Op::SecureErase), 0)
}
