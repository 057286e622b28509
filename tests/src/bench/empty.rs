//! Programs that do nothing, on the hooks the agent uses: what any program there costs, and what timing it costs.
//!
//! Contract: gone when dropped, and with the process.

use std::ffi::CString;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use aya_obj::btf::{Btf, BtfKind};
use nix::errno::Errno;

/// The tracepoints.
pub(super) const HOOKS: [&str; 5] = [
    "block_io_start",
    "block_rq_issue",
    "block_rq_complete",
    "sched_switch",
    "sched_waking",
];

/// Commands of bpf(2), and the numbers of what is loaded (include/uapi/linux/bpf.h).
const BPF_PROG_LOAD: i32 = 5;
const BPF_RAW_TRACEPOINT_OPEN: i32 = 17;
const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_TRACE_RAW_TP: u32 = 23;

/// `r0 = 0; exit`
static INSTRUCTIONS: [u64; 2] = [0xb7, 0x95];
static LICENCE: &std::ffi::CStr = c"GPL";

/// `union bpf_attr` of `BPF_PROG_LOAD`, up to the field that is needed.
#[repr(C)]
#[derive(Default)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log: [u32; 2],
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
    btf: [u32; 9],
    attach_btf_id: u32,
    reserved: [u32; 2],
}

/// `union bpf_attr` of `BPF_RAW_TRACEPOINT_OPEN`.
#[repr(C)]
struct Open {
    name: u64,
    prog_fd: u32,
    reserved: u32,
}

/// Loaded and attached programs.
pub(super) struct Empty {
    _held: Vec<[OwnedFd; 2]>,
}

impl Empty {
    /// On each of the hooks that the kernel has.
    pub(super) fn attach() -> Result<Self> {
        let btf = Btf::from_sys_fs().context("reading the kernel's types")?;
        let held = HOOKS.iter().filter_map(|hook| on(&btf, hook).transpose());
        Ok(Self {
            _held: held.collect::<Result<_>>()?,
        })
    }
}

fn on(btf: &Btf, hook: &str) -> Result<Option<[OwnedFd; 2]>> {
    let name = format!("btf_trace_{hook}");
    let Ok(id) = btf.id_by_type_name_kind(&name, BtfKind::Typedef) else {
        return Ok(None);
    };
    let program = load(hook, id).with_context(|| format!("loading an empty program for {hook}"))?;
    let open = Open {
        name: 0,
        prog_fd: program.as_raw_fd().cast_unsigned(),
        reserved: 0,
    };
    let link =
        bpf(BPF_RAW_TRACEPOINT_OPEN, &open).with_context(|| format!("attaching to {hook}"))?;
    Ok(Some([program, link]))
}

fn load(hook: &str, attach_btf_id: u32) -> Result<OwnedFd> {
    let mut attributes = Load {
        prog_type: BPF_PROG_TYPE_TRACING,
        insn_cnt: INSTRUCTIONS.len() as u32,
        insns: INSTRUCTIONS.as_ptr() as u64,
        license: LICENCE.as_ptr() as u64,
        expected_attach_type: BPF_TRACE_RAW_TP,
        attach_btf_id,
        ..Load::default()
    };
    // The kernel keeps 15 bytes and a NUL.
    let name = CString::new(hook)?;
    let room = attributes.name.iter_mut().take(15);
    room.zip(name.as_bytes()).for_each(|(to, from)| *to = *from);
    Ok(bpf(BPF_PROG_LOAD, &attributes)?)
}

fn bpf<T>(command: i32, attributes: &T) -> Result<OwnedFd, Errno> {
    // SAFETY: the attributes are as many bytes as is said, alive during the call, and what they point to is static.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    let fd = Errno::result(fd)? as i32;
    // SAFETY: the kernel just gave this descriptor to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn the_attributes_lie_where_the_kernel_looks() {
        assert_eq!(offset_of!(Load, name), 48);
        assert_eq!(offset_of!(Load, expected_attach_type), 68);
        assert_eq!(offset_of!(Load, attach_btf_id), 108);
    }
}
