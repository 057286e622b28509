//! What user space tells the programs while they run: elements of `CONTROL`, 0 or 1.

/// Tasks the iterator finds in D are asleep since they last ran, if no hook saw them fall asleep.
pub const SEEDING: u32 = 0;
/// The hooks are being detached: a request that was not seen before is no older one.
pub const CLOSING: u32 = 1;
/// Number of elements.
pub const SWITCHES: u32 = 2;
