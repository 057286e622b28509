//! What every test here needs: the agent as a process, what it saw, what the kernel says, skipping.

pub(crate) mod agent;
pub(crate) mod bpf;
pub(crate) mod compare;
pub(crate) mod document;
pub(crate) mod ftrace;
pub(crate) mod kept_back;
pub(crate) mod load;
pub(crate) mod notes;
mod numbers;
pub(crate) mod on_file;
mod program;
pub(crate) mod round;
pub(crate) mod seen;
pub(crate) mod skip;
pub(crate) mod terminal;
pub(crate) mod test;
pub(crate) mod urgent;

pub(crate) use notes::note;
pub(crate) use numbers::{between, close, same};
