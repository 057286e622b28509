//! A block request's life: submitted, issued, completed.

/// What a request asks for. The codes up to `WriteZeroes` are the kernel's `req_op` classes that
/// it counts or treats apart; see `include/linux/blk_types.h`.
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// `REQ_OP_READ`
    Read = 0,
    /// `REQ_OP_WRITE` with data
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
}

/// Number of [`Op`]s.
pub const OPS: usize = 8;

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
    ];

    /// From the low byte of `request.cmd_flags` and whether it is an empty preflush. The codes
    /// are the same on every kernel from 5.10 to 7.3; user space checks them against the enum in
    /// BTF before load.
    #[inline(always)]
    #[must_use]
    pub const fn from_code(code: u32, empty_preflush: bool) -> Self {
        match code {
            0 => Self::Read,
            1 if empty_preflush => Self::Preflush,
            1 => Self::Write,
            2 => Self::Flush,
            3 => Self::Discard,
            5 => Self::SecureErase,
            9 => Self::WriteZeroes,
            _ => Self::Other,
        }
    }

    /// The number of [`Self::from_code`], computed without a choice for each operation: the kernel's verifier follows every
    /// choice to the end of the program, so that eight of them make it take eight times as long.
    #[inline(always)]
    #[must_use]
    pub const fn number(code: u32, empty_preflush: bool) -> u8 {
        if code >= CODES {
            return Self::Other as u8;
        }
        let numbers = if empty_preflush {
            EMPTY_PREFLUSH
        } else {
            NUMBERS
        };
        ((numbers >> (code * BITS)) & ((1 << BITS) - 1)) as u8
    }
}

/// Codes below have a number of their own, of so many bits.
const CODES: u32 = 16;
const BITS: u32 = 4;
const NUMBERS: u64 = numbers(false);
const EMPTY_PREFLUSH: u64 = numbers(true);

const fn numbers(empty_preflush: bool) -> u64 {
    let (mut numbers, mut code) = (0, 0);
    while code < CODES {
        let op = Op::from_code(code, empty_preflush);
        numbers |= (op as u64) << (code * BITS);
        code += 1;
    }
    numbers
}

/// `REQ_OP_MASK`: the low byte of `request.cmd_flags`.
pub const OP_MASK: u32 = 0xff;
/// `REQ_PREFLUSH`. Bit 18 on every kernel from 5.10 to 7.3 (`__REQ_PREFLUSH`); user space reads
/// the enum.
pub const PREFLUSH: u32 = 1 << 18;

/// In [`Request::flags`]: submitted and not yet ended.
pub const ACTIVE: u8 = 1;
/// In [`Request::flags`]: its submission was not seen; `queued_ns` is the kernel's own stamp.
pub const OLDER: u8 = 2;

/// In [`Request::flags`]: it moves the discard clock until it ends.
pub const CLOCKED: u8 = 4;
/// In [`Request::flags`], for all lives: its hardware queue was searched for older requests.
pub const SEARCHED: u8 = 8;
/// In [`Request::flags`]: it came back from the driver, and has not gone there again.
pub const CAME_BACK: u8 = 16;

/// Requests shorter than this have no service time computed: they delay nobody noticeably, and on a fast disk
/// nearly all are, ns.
pub const SERVICE_MIN_NS: u64 = 500_000;

/// Element of `REQUESTS`, one for each `struct request` ([`crate::place`]). Requests are preallocated
/// per tag and used again at once, so an element is updated in place for the next life; a life is
/// told by the address and `queued_ns`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
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
    /// Index of its [`crate::disk::Series`], without shard.
    pub series: u16,
    /// [`Op`] as a number.
    pub op: u8,
    /// [`ACTIVE`], [`OLDER`], [`CLOCKED`], [`SEARCHED`], [`CAME_BACK`].
    pub flags: u8,
    /// Times it was requeued.
    pub requeues: u16,
    /// Id of the control group it is charged to, when a thread of the kernel submitted it; 0 for the root
    /// group, and otherwise. The kernel counts ids up from 1, so that they fit.
    pub cgroup: u32,
}

crate::abi!(Request: 72);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_one_number_however_it_is_found() {
        for code in 0..=OP_MASK {
            for empty_preflush in [false, true] {
                let op = Op::from_code(code, empty_preflush);
                assert_eq!(Op::number(code, empty_preflush), op as u8, "{code}");
            }
        }
    }
}
