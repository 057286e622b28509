//! The kernel: its types, what it has, what it says.

pub mod btf;
pub mod catalog;
pub mod layout;
pub mod support;
pub mod symbols;
