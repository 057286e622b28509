//! What this kernel has, as facts without policy; `probe::plan` decides from them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use stall_common::layout::Layout;
use thiserror::Error;

use super::btf::{Btf, BtfError};
use super::layout::{self, LayoutError};
use crate::kernel::catalog::{CATALOG, Kind};

/// Where the kernel gives its BTF.
pub const BTF_PATH: &str = "/sys/kernel/btf/vmlinux";

/// The helper that gives it, whose number is in an enum (5.11).
pub const CURRENT_TASK: &str = "BPF_FUNC_get_current_task_btf";

/// Facts of the kernel about the hooks in the catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Arguments each tracepoint passes; a tracepoint that is not here does not exist.
    pub tracepoints: BTreeMap<&'static str, usize>,
    /// Iterators that exist.
    pub iterators: Vec<&'static str>,
    /// Where fields lie.
    pub layout: Layout,
    /// Whether programs can have the running task with its type.
    pub typed_current: bool,
}

/// Why there are no facts.
#[derive(Debug, Error)]
pub enum SupportError {
    #[error("{} cannot be read ({source})", path.display())]
    NoBtf {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the kernel's type information is unusable: {0}")]
    Btf(#[from] BtfError),
    #[error(transparent)]
    Layout(#[from] LayoutError),
}

/// Reads the facts from the BTF of the running kernel.
///
/// # Errors
///
/// When there is none, it is damaged, or it lacks what the programs need.
pub fn facts() -> Result<Facts, SupportError> {
    facts_from(Path::new(BTF_PATH))
}

/// Reads the facts from a BTF file.
///
/// # Errors
///
/// As for [`facts`].
pub fn facts_from(path: &Path) -> Result<Facts, SupportError> {
    let bytes = std::fs::read(path).map_err(|source| SupportError::NoBtf {
        path: path.to_owned(),
        source,
    })?;
    facts_of(&bytes)
}

/// Reads the facts from BTF.
///
/// # Errors
///
/// As for [`facts`].
pub fn facts_of(bytes: &[u8]) -> Result<Facts, SupportError> {
    let btf = Btf::parse(bytes)?;
    Ok(Facts {
        tracepoints: tracepoints(&btf),
        iterators: iterators(&btf),
        layout: layout::resolve(&btf)?,
        typed_current: btf.enumerator(CURRENT_TASK).is_some(),
    })
}

/// The tracepoints of the catalog that this BTF has, with the number of their arguments.
#[must_use]
pub fn tracepoints(btf: &Btf<'_>) -> BTreeMap<&'static str, usize> {
    hooks(Kind::Tracepoint)
        .filter_map(|hook| Some((hook, btf.tracepoint_args(hook)?)))
        .collect()
}

/// The iterators of the catalog that this BTF has.
#[must_use]
pub fn iterators(btf: &Btf<'_>) -> Vec<&'static str> {
    hooks(Kind::Iterator)
        .filter(|hook| btf.has_function(&format!("bpf_iter_{hook}")))
        .collect()
}

fn hooks(kind: Kind) -> impl Iterator<Item = &'static str> {
    CATALOG
        .iter()
        .filter(move |row| row.kind == kind)
        .map(|row| row.hook)
}
