//! Those who use the staged disk: `direct-io` under any name, with its own account of what it did.

pub(crate) use stall_tests::block_io::load::{Done, Load};
