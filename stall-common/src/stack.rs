//! Kernel stacks: kept once each, under a hash of their addresses.

/// Frames kept of a stack, innermost first.
pub const DEPTH: usize = 32;

/// Value of `STACKS`; unused frames are 0. The key is [`id`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stack {
    /// Return addresses, innermost first.
    pub frames: [u64; DEPTH],
}

/// The id of a stack: a 64-bit multiplicative hash of its frames, never 0.
#[inline(always)]
#[must_use]
pub fn id(frames: &[u64; DEPTH]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let mut index = 0;
    while index < DEPTH {
        hash = (hash ^ frames[index]).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        hash ^= hash >> 29;
        index += 1;
    }
    hash | 1
}

crate::abi!(Stack: 8 * DEPTH);
