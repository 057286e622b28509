//! A block request's life: submitted, issued, completed.

/// What a request asks for. The codes up to `WriteZeroes` are the kernel's `req_op` classes that
/// it counts or treats apart; see `include/linux/blk_types.h`.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// `REQ_OP_READ`
    Read = 0,
    /// `REQ_OP_WRITE` with data that somebody waits for: with `REQ_SYNC`, `REQ_FUA` or `REQ_PREFLUSH`, as `op_is_sync()` has it
    Write = 1,
    /// `REQ_OP_WRITE | REQ_PREFLUSH` without data: an `fsync` waiting for the device's cache. The
    /// kernel counts it as a write; it is never issued itself.
    Preflush = 2,
    /// `REQ_OP_FLUSH`: the flush the block layer sends for the waiters above
    Flush = 3,
    /// `REQ_OP_DISCARD`
    Discard = 4,
    /// `REQ_OP_SECURE_ERASE`
    SecureErase = 5,
    /// `REQ_OP_WRITE_ZEROES`
    WriteZeroes = 6,
    /// Zone management, driver private and whatever comes
    Other = 7,
    /// `REQ_OP_WRITE` with data and without any of these: writeback
    AsyncWrite = 8,
    /// `REQ_OP_READ | REQ_RAHEAD`. The page cache sets it on all it reads at once, also where somebody waits for the first
    /// page of them: that shows in the sleep of the task that does.
    ReadAhead = 9,
}

/// Number of [`Op`]s.
pub const OPS: usize = 10;
/// Elements of an array with one for each [`Op`], such that a number masked with [`OP_PLACES`] - 1 is within it.
pub const OP_PLACES: usize = OPS.next_power_of_two();

impl Op {
    /// All, in the order of their numbers.
    pub const ALL: [Self; OPS] = [
        Self::Read,
        Self::Write,
        Self::Preflush,
        Self::Flush,
        Self::Discard,
        Self::SecureErase,
        Self::WriteZeroes,
        Self::Other,
        Self::AsyncWrite,
        Self::ReadAhead,
    ];

    /// From `request.cmd_flags` and whether there is data. The codes and bits are the same on every kernel from 5.10 to 7.3;
    /// user space checks them against the enums in BTF before load.
    #[inline(always)]
    #[must_use]
    pub const fn from_flags(flags: u32, has_data: bool) -> Self {
        match flags & OP_MASK {
            0 if flags & READ_AHEAD != 0 => Self::ReadAhead,
            0 => Self::Read,
            1 if flags & PREFLUSH != 0 && !has_data => Self::Preflush,
            1 if flags & (SYNC | FUA | PREFLUSH) == 0 => Self::AsyncWrite,
            1 => Self::Write,
            2 => Self::Flush,
            3 => Self::Discard,
            5 => Self::SecureErase,
            9 => Self::WriteZeroes,
            _ => Self::Other,
        }
    }

    /// The number of [`Self::from_flags`], computed without a choice for each operation: the kernel's verifier follows every
    /// choice to the end of the program, so that ten of them make it take ten times as long.
    #[inline(always)]
    #[must_use]
    pub const fn number(flags: u32, has_data: bool) -> u8 {
        let code = flags & OP_MASK;
        if code >= CODES {
            return Self::Other as u8;
        }
        // For a read, whether it is ahead; for a write, whether somebody waits for it.
        let ahead = flags >> READ_AHEAD.trailing_zeros();
        let waited = flags >> SYNC.trailing_zeros()
            | flags >> FUA.trailing_zeros()
            | flags >> PREFLUSH.trailing_zeros();
        let is_unwaited = ((ahead & !code) | (!waited & code)) & 1;
        let mut numbers = NUMBERS ^ ((NUMBERS ^ UNWAITED) * is_unwaited as u64);
        if !has_data && flags & PREFLUSH != 0 {
            numbers = (numbers & !OF_WRITE) | PREFLUSH_OF_WRITE;
        }
        ((numbers >> (code * BITS)) & ((1 << BITS) - 1)) as u8
    }
}

/// Codes below have a number of their own, of so many bits.
const CODES: u32 = 16;
const BITS: u32 = 4;
const NUMBERS: u64 = numbers(SYNC);
const UNWAITED: u64 = numbers(READ_AHEAD);
/// The number of a write, and that of an fsync request in its place.
const OF_WRITE: u64 = ((1 << BITS) - 1) << BITS;
const PREFLUSH_OF_WRITE: u64 = (Op::Preflush as u64) << BITS;

const fn numbers(flags: u32) -> u64 {
    let (mut numbers, mut code) = (0, 0);
    while code < CODES {
        let op = Op::from_flags(code | flags, true);
        numbers |= (op as u64) << (code * BITS);
        code += 1;
    }
    numbers
}

/// `REQ_OP_MASK`: the low byte of `request.cmd_flags`.
pub const OP_MASK: u32 = 0xff;
/// `REQ_SYNC`: somebody waits for it.
pub const SYNC: u32 = 1 << 11;
/// `REQ_FUA`: it ends when it is on the medium.
pub const FUA: u32 = 1 << 17;
/// `REQ_PREFLUSH`: the cache is flushed before it.
pub const PREFLUSH: u32 = 1 << 18;
/// `REQ_RAHEAD`: read before anybody has asked.
pub const READ_AHEAD: u32 = 1 << 19;

/// In [`Slot::flags`]: submitted and not yet completed.
pub const ACTIVE: u8 = 1;
/// In [`Slot::flags`]: its submission was not seen; `queued_ns` is the kernel's own stamp.
pub const OLDER: u8 = 2;

/// In [`Slot::flags`]: it keeps the discard clock running until it completes.
pub const CLOCKED: u8 = 4;
/// In [`Slot::flags`]: it came back from the driver, and has not gone there again.
pub const CAME_BACK: u8 = 16;

/// Requests shorter than this have no service time computed: they delay nobody noticeably, and on a fast disk
/// nearly all are, ns.
pub const SERVICE_MIN_NS: u64 = 500_000;

/// Element of `REQUESTS`, one for each `struct request` ([`crate::place`]). Requests are preallocated
/// per tag and reused at once, so an element is updated in place for the next use; a use is
/// identified by the address and `queued_ns`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// When it was submitted.
    pub queued_ns: u64,
    /// When it was first issued to the driver; 0 before.
    pub issued_ns: u64,
    /// The disk's discard clock when it was submitted.
    pub discard_clock_ns: u64,
    /// First sector, units of 512 bytes.
    pub sector: u64,
    /// For discards, the id of the submitter's kernel stack; 0 without.
    pub stack: u64,
    /// Bytes asked for when it was last looked at.
    pub bytes: u32,
    /// Bytes completed so far.
    pub done_bytes: u32,
    /// Number of its actor's row ([`crate::uses`]); `NO_ROW` when that is looked up at its end.
    pub row: u32,
    /// Id of the submitting process.
    pub actor: u32,
    /// Submitting thread.
    pub tid: u32,
    /// Index of the disk.
    pub disk: u16,
    /// Index of its [`crate::disk::Series`], without copy.
    pub series: u16,
    /// [`Op`] as a number.
    pub op: u8,
    /// [`ACTIVE`], [`OLDER`], [`CLOCKED`], [`CAME_BACK`].
    pub flags: u8,
    /// Times it was requeued.
    pub requeues: u16,
    /// Id of the control group it is charged to, when a thread of the kernel submitted it; 0 for the root
    /// group, and otherwise. The kernel counts ids up from 1, so that they fit.
    pub cgroup: u32,
}

crate::abi!(Slot: 72);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_one_number_however_it_is_found() {
        let bits = [SYNC, FUA, PREFLUSH, READ_AHEAD, 1 << 20];
        for code in 0..=OP_MASK {
            for chosen in 0..1 << bits.len() {
                let set = bits
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| chosen >> at & 1 == 1);
                let flags = set.fold(code, |flags, (_, bit)| flags | bit);
                for has_data in [false, true] {
                    let op = Op::from_flags(flags, has_data);
                    assert_eq!(Op::number(flags, has_data), op as u8, "{flags:x}");
                }
            }
        }
    }

    #[test]
    fn nobody_waits_for_writeback_and_read_ahead() {
        let of = |flags| Op::from_flags(flags, true);
        assert_eq!(of(1), Op::AsyncWrite);
        assert_eq!([SYNC, FUA, PREFLUSH].map(|bit| of(1 | bit)), [Op::Write; 3]);
        assert_eq!([of(0), of(SYNC)], [Op::Read; 2]);
        assert_eq!(of(READ_AHEAD), Op::ReadAhead);
        assert_eq!(of(3 | READ_AHEAD), Op::Discard);
    }
}
