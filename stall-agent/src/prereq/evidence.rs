//! What the system says about being traced.

use std::io;
use std::path::Path;

use aya::maps::MapType;

use crate::kernel::support::{self, Facts, SupportError};
use crate::kernel::symbols;
use crate::probe::memlock::Room;
use stall_host::HostRoot;

/// Everything that [`super::judge`] decides from.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// `CapEff` of this process.
    pub capabilities: Option<u64>,
    /// Capabilities count only in the first user namespace.
    pub first_user_namespace: Option<bool>,
    pub bpf: Bpf,
    /// Level of kernel lockdown.
    pub lockdown: Option<String>,
    pub types: KernelTypes,
    /// `/proc/kallsyms` shows addresses.
    pub symbols: Option<bool>,
    /// The `/proc` read shows all processes of the host.
    pub host_processes: Option<bool>,
    /// Files can be read as far as they are in memory.
    pub cached_files: Option<bool>,
}

/// What came of a first `bpf(2)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bpf {
    Works,
    Refused(String),
    #[default]
    NotTried,
}

/// What the kernel says of its own types.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KernelTypes {
    Facts(Box<Facts>),
    /// They are there, and were not read.
    Present,
    Absent,
    Unusable(String),
    /// They are read, and lack something without which no program works.
    Unfit(String),
    #[default]
    Unknown,
}

/// Inode of the first pid namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";
/// The same for the user namespace.
const FIRST_USER_NAMESPACE: &str = "user:[4026531837]";

/// Asks for everything.
#[must_use]
pub fn gather(root: &HostRoot) -> Evidence {
    Evidence {
        types: types(),
        symbols: symbols::readable(root),
        cached_files: Some(root.can_read_cached()),
        ..quick(root)
    }
}

/// Asks for what takes no time.
pub(super) fn quick(root: &HostRoot) -> Evidence {
    let own = HostRoot::default();
    Evidence {
        capabilities: capabilities(&own),
        first_user_namespace: own
            .link("proc/self/ns/user")
            .map(|namespace| namespace == FIRST_USER_NAMESPACE),
        bpf: bpf(),
        lockdown: lockdown(root),
        types: presence(),
        symbols: None,
        host_processes: host_processes(root),
        cached_files: None,
    }
}

fn capabilities(own: &HostRoot) -> Option<u64> {
    let status = own.text("proc/self/status", 16 << 10)?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

/// Makes the smallest of maps.
fn bpf() -> Bpf {
    let _room = Room::make();
    match aya::sys::is_map_supported(MapType::Array) {
        Ok(true) => Bpf::Works,
        Ok(false) => Bpf::Refused("it knows no maps".to_owned()),
        Err(error) => Bpf::Refused(crate::file::reason(&error.io_error)),
    }
}

/// `none [integrity] confidentiality`; the file is in securityfs, which a container may not have.
fn lockdown(root: &HostRoot) -> Option<String> {
    let levels = root.value("sys/kernel/security/lockdown")?;
    let (_, rest) = levels.split_once('[')?;
    let (level, _) = rest.split_once(']')?;
    Some(level.to_owned())
}

fn presence() -> KernelTypes {
    match Path::new(support::BTF_PATH).try_exists() {
        Ok(true) => KernelTypes::Present,
        Ok(false) => KernelTypes::Absent,
        Err(_) => KernelTypes::Unknown,
    }
}

fn types() -> KernelTypes {
    support::facts().into()
}

impl From<Result<Facts, SupportError>> for KernelTypes {
    fn from(facts: Result<Facts, SupportError>) -> Self {
        match facts {
            Ok(facts) => Self::Facts(Box::new(facts)),
            Err(SupportError::NoBtf { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Self::Absent
            }
            Err(SupportError::NoBtf { source, .. }) => Self::Unusable(crate::file::reason(&source)),
            Err(SupportError::Btf(error)) => Self::Unusable(error.to_string()),
            Err(SupportError::Layout(error)) => Self::Unfit(error.to_string()),
        }
    }
}

/// With the host's own `/proc` at hand its first process is in the first namespace.
fn host_processes(root: &HostRoot) -> Option<bool> {
    let namespace = root.link("proc/1/ns/pid");
    let namespace = namespace.or_else(|| root.link("proc/self/ns/pid"))?;
    Some(namespace == FIRST_PID_NAMESPACE)
}
