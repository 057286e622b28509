//! What a test may find missing on this machine; it is then ignored, with the reason in one line.

use std::path::Path;

use nix::unistd::Uid;
use stall_tests::spawned::find_program;
use stall_tests::staged::FileSystem;

/// Something not every machine has. Root, a loop device and FUSE are needed by all.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Need {
    FileSystem(FileSystem),
    Program(&'static str),
    Scheduler(&'static str),
}

/// Why a test that found something missing on its way is no failure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Skip(pub(crate) String);

/// The first thing that is missing.
pub(crate) fn lacking(needs: &[Need]) -> Option<String> {
    let always = without_root()
        .or_else(|| without_file("/dev/fuse"))
        .or_else(|| without_file("/dev/loop-control"));
    always.or_else(|| needs.iter().find_map(|need| need.lacking()))
}

fn without_root() -> Option<String> {
    (!Uid::effective().is_root()).then(|| "needs root".to_owned())
}

fn without_file(path: &str) -> Option<String> {
    (!Path::new(path).exists()).then(|| format!("there is no {path}"))
}

impl Need {
    fn lacking(self) -> Option<String> {
        match self {
            Self::FileSystem(file_system) => without_file_system(file_system),
            Self::Program(name) => without_program(name),
            Self::Scheduler(name) => without_scheduler(name),
        }
    }
}

fn without_program(name: &str) -> Option<String> {
    find_program(name)
        .err()
        .map(|_| format!("{name} is not installed"))
}

fn without_file_system(file_system: FileSystem) -> Option<String> {
    let name = file_system.name();
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    let is_known = known.split_whitespace().any(|word| word == name);
    let unknown = (!is_known).then(|| format!("this kernel has no {name}"));
    unknown.or_else(|| without_program(&format!("mkfs.{name}")))
}

fn without_scheduler(name: &str) -> Option<String> {
    let path = "/sys/block/loop0/queue/scheduler";
    let offered = std::fs::read_to_string(path).unwrap_or_default();
    let has = offered
        .split_whitespace()
        .any(|word| word.trim_matches(['[', ']']) == name);
    (!has).then(|| format!("this kernel has no scheduler {name}"))
}
