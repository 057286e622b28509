//! Programs of our own on the hooks the agent uses, as little as there can be: such that do nothing, for what any program
//! there costs and what timing it costs; and such that find a request in a hash map, for what no program can do without that
//! keeps anything of a request from one hook to the next.
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

/// Those with a request as their first argument.
const OF_REQUESTS: usize = 3;

/// Commands of bpf(2), and the numbers of what is loaded (include/uapi/linux/bpf.h).
const BPF_MAP_CREATE: i32 = 0;
const BPF_PROG_LOAD: i32 = 5;
const BPF_RAW_TRACEPOINT_OPEN: i32 = 17;
const BPF_PROG_TYPE_TRACING: u32 = 26;
const BPF_TRACE_RAW_TP: u32 = 23;

const BPF_MAP_TYPE_HASH: u32 = 1;

/// `r0 = 0; exit`
const NOTHING: [u64; 2] = [0xb7, 0x95];
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

/// `union bpf_attr` of `BPF_MAP_CREATE`, up to the field that is needed.
#[repr(C)]
struct Map {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

/// `union bpf_attr` of `BPF_RAW_TRACEPOINT_OPEN`.
#[repr(C)]
struct Open {
    name: u64,
    prog_fd: u32,
    reserved: u32,
}

/// Loaded and attached programs.
pub(super) struct Bare {
    _held: Vec<[OwnedFd; 2]>,
}

impl Bare {
    /// Such that do nothing, on each of the hooks that the kernel has.
    pub(super) fn empty() -> Result<Self> {
        Self::attach(&HOOKS, &NOTHING)
    }

    /// Such that find the request, and keep a place for it the first time, on each of its hooks that the kernel has.
    pub(super) fn finding() -> Result<Self> {
        // As many requests and as much of each as the agent has on a small host.
        let map = Map {
            map_type: BPF_MAP_TYPE_HASH,
            key_size: 8,
            value_size: 72,
            max_entries: 16384,
        };
        let map = bpf(BPF_MAP_CREATE, &map).context("making a hash map")?;
        Self::attach(&HOOKS[..OF_REQUESTS], &find(&map))
    }

    fn attach(hooks: &[&str], instructions: &[u64]) -> Result<Self> {
        let btf = Btf::from_sys_fs().context("reading the kernel's types")?;
        let held = hooks.iter();
        let held = held.filter_map(|hook| on(&btf, hook, instructions).transpose());
        Ok(Self {
            _held: held.collect::<Result<_>>()?,
        })
    }
}

/// Looks the first argument up, and inserts it with zeros when it is not there.
fn find(map: &OwnedFd) -> Vec<u64> {
    // Two halves; the source says that the number is a map's descriptor.
    let map = [instruction(0x18, 1, 1, 0, map.as_raw_fd()), 0];
    let key = [
        instruction(MOVE, 2, STACK, 0, 0),
        instruction(ADD, 2, 0, 0, -KEY),
    ];
    let insert = [
        map.as_slice(),
        &key,
        &[
            instruction(MOVE, 3, STACK, 0, 0),
            instruction(ADD, 3, 0, 0, -VALUE),
            instruction(SET, 4, 0, 0, 0),
            instruction(CALL, 0, 0, 0, MAP_UPDATE_ELEM),
        ],
    ]
    .concat();
    let zeros = (1..=9).map(|word| instruction(STORE_ZERO, STACK, 0, -8 - 8 * word, 0));
    let insert: Vec<u64> = zeros.chain(insert).collect();
    [
        [
            instruction(LOAD, 6, 1, 0, 0),
            instruction(STORE, STACK, 6, -KEY as i16, 0),
        ]
        .as_slice(),
        &map,
        &key,
        &[
            instruction(CALL, 0, 0, 0, MAP_LOOKUP_ELEM),
            instruction(UNLESS_ZERO, 0, 0, insert.len() as i16, 0),
        ],
        &insert,
        &NOTHING,
    ]
    .concat()
}

/// Where key and value lie, below the end of the stack.
const KEY: i32 = 8;
const VALUE: i32 = 80;
const STACK: u8 = 10;
/// Helpers, and codes of instructions.
const MAP_LOOKUP_ELEM: i32 = 1;
const MAP_UPDATE_ELEM: i32 = 2;
const LOAD: u8 = 0x79;
const STORE: u8 = 0x7b;
const STORE_ZERO: u8 = 0x7a;
const MOVE: u8 = 0xbf;
const SET: u8 = 0xb7;
const ADD: u8 = 0x07;
const CALL: u8 = 0x85;
const UNLESS_ZERO: u8 = 0x55;

/// `struct bpf_insn`, on a little-endian machine.
fn instruction(code: u8, to: u8, from: u8, offset: i16, value: i32) -> u64 {
    let [low, high] = offset.to_le_bytes();
    let [a, b, c, d] = value.to_le_bytes();
    u64::from_le_bytes([code, from << 4 | to, low, high, a, b, c, d])
}

fn on(btf: &Btf, hook: &str, instructions: &[u64]) -> Result<Option<[OwnedFd; 2]>> {
    let name = format!("btf_trace_{hook}");
    let Ok(id) = btf.id_by_type_name_kind(&name, BtfKind::Typedef) else {
        return Ok(None);
    };
    let program =
        load(hook, id, instructions).with_context(|| format!("loading a program for {hook}"))?;
    let open = Open {
        name: 0,
        prog_fd: program.as_raw_fd().cast_unsigned(),
        reserved: 0,
    };
    let link =
        bpf(BPF_RAW_TRACEPOINT_OPEN, &open).with_context(|| format!("attaching to {hook}"))?;
    Ok(Some([program, link]))
}

fn load(hook: &str, attach_btf_id: u32, instructions: &[u64]) -> Result<OwnedFd> {
    let mut attributes = Load {
        prog_type: BPF_PROG_TYPE_TRACING,
        insn_cnt: instructions.len() as u32,
        insns: instructions.as_ptr() as u64,
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
    // SAFETY: the attributes are as many bytes as is said, alive during the call, and so is what they point to.
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

    #[test]
    fn instructions_are_the_kernels() {
        assert_eq!(instruction(0xb7, 0, 0, 0, 0), NOTHING[0]);
        // *(u64 *)(r10 - 8) = r6
        assert_eq!(instruction(STORE, STACK, 6, -8, 0), 0x0000_0000_fff8_6a7b);
    }
}
