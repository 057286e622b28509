//! The kernel: its types, what it has, what it says.

pub mod btf;
pub mod layout;
pub mod prereq;
pub mod support;
pub mod symbols;
