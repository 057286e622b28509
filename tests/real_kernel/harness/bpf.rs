//! BPF programs, maps and links that the kernel has, asked for without the agent's own library.

use std::collections::BTreeSet;
use std::fs;

use nix::errno::Errno;
use nix::unistd::Pid;

/// Kinds of object, with the command of bpf(2) that opens one by its id and the word of fdinfo.
const PROGRAM: (i32, &str) = (13, "prog_id");
const MAP: (i32, &str) = (14, "map_id");
const LINK: (i32, &str) = (30, "link_id");

/// One object by kind and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Object {
    command: i32,
    id: u32,
}

/// Everything a process holds.
pub(crate) fn objects_of(pid: Pid) -> BTreeSet<Object> {
    held(pid, &[PROGRAM, MAP, LINK])
}

fn held(pid: Pid, kinds: &[(i32, &str)]) -> BTreeSet<Object> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return BTreeSet::new();
    };
    let infos = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    infos
        .flat_map(|info| {
            let found = kinds.iter().filter_map(|kind| object(*kind, &info));
            found.collect::<Vec<_>>()
        })
        .collect()
}

fn object((command, word): (i32, &str), info: &str) -> Option<Object> {
    let mut lines = info.lines().filter_map(|line| line.split_once(':'));
    let (_, id) = lines.find(|(key, _)| *key == word)?;
    Some(Object {
        command,
        id: id.trim().parse().ok()?,
    })
}

impl Object {
    /// Whether the kernel still has it.
    pub(crate) fn exists(self) -> bool {
        // `union bpf_attr` of BPF_*_GET_FD_BY_ID: the id, then what is not used here.
        let attributes = [self.id, 0, 0, 0];
        // SAFETY: the pointer is to so many bytes, alive during the call.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_bpf,
                self.command,
                attributes.as_ptr(),
                size_of_val(&attributes),
            )
        };
        if fd < 0 {
            return Errno::last() != Errno::ENOENT;
        }
        // SAFETY: the kernel just gave this descriptor to nobody else.
        unsafe { libc::close(fd as i32) };
        true
    }
}
