//! Kernels whose BTF is not at hand: that of a neighbour, changed to what is known of their layouts.
//!
//! The numbers were read once from kernels of other distributions, 5.15, 6.2 and 6.5. Harvester's hosts run 5.14 and
//! 6.4 of SUSE: 5.14 is 5.15 without `request_queue.disk`, 6.4 lies between 6.2 and 6.5 and has no `block_io_start` either.

use crate::kept::fixtures;
use crate::model::{FUNC_PROTO, PTR, STRUCT, TYPEDEF, Type, Types};

/// The neighbour.
const BASE: &str = "6.1.0-56-amd64";

/// What is known of a kernel.
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Known],
    /// Arguments of `sched_switch`.
    switch: usize,
    has_io_start: bool,
}

/// A value of the layout; the structure and member it is of; its offset in bytes, if there is such a member.
pub(crate) struct Known(
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) Option<u32>,
);

const KERNELS: &[Kernel] = &[
    Kernel {
        name: "5.14-synthetic",
        switch: 3,
        has_io_start: false,
        fields: &[
            Known("request_rq_disk", "request", "rq_disk", Some(160)),
            Known("request_cmd_flags", "request", "cmd_flags", Some(24)),
            Known("request_data_len", "request", "__data_len", Some(40)),
            Known("request_sector", "request", "__sector", Some(48)),
            Known("queue_disk", "request_queue", "disk", None),
        ],
    },
    Kernel {
        name: "5.15-synthetic",
        switch: 3,
        has_io_start: false,
        fields: &[
            Known("request_rq_disk", "request", "rq_disk", Some(160)),
            Known("request_cmd_flags", "request", "cmd_flags", Some(24)),
            Known("request_data_len", "request", "__data_len", Some(40)),
            Known("request_sector", "request", "__sector", Some(48)),
            Known(
                "request_start_time_ns",
                "request",
                "start_time_ns",
                Some(184),
            ),
            Known("request_state", "request", "state", Some(228)),
            Known("queue_disk", "request_queue", "disk", Some(120)),
            Known("task_state", "task_struct", "__state", Some(24)),
            Known("task_pid", "task_struct", "pid", Some(2496)),
            Known("task_tgid", "task_struct", "tgid", Some(2500)),
            Known("task_comm", "task_struct", "comm", Some(3000)),
        ],
    },
    Kernel {
        name: "6.2-synthetic",
        switch: 4,
        has_io_start: false,
        fields: &[
            Known("request_rq_disk", "request", "rq_disk", None),
            Known("request_cmd_flags", "request", "cmd_flags", Some(24)),
            Known("request_data_len", "request", "__data_len", Some(44)),
            Known("request_sector", "request", "__sector", Some(48)),
            Known(
                "request_start_time_ns",
                "request",
                "start_time_ns",
                Some(104),
            ),
            Known("request_state", "request", "state", Some(148)),
            Known("queue_disk", "request_queue", "disk", Some(128)),
            Known("task_state", "task_struct", "__state", Some(24)),
            Known("task_pid", "task_struct", "pid", Some(2456)),
            Known("task_tgid", "task_struct", "tgid", Some(2460)),
            Known("task_comm", "task_struct", "comm", Some(2960)),
        ],
    },
    Kernel {
        name: "6.5-synthetic",
        switch: 4,
        has_io_start: true,
        fields: &[
            Known("request_rq_disk", "request", "rq_disk", None),
            Known("request_cmd_flags", "request", "cmd_flags", Some(24)),
            Known("request_data_len", "request", "__data_len", Some(44)),
            Known("request_sector", "request", "__sector", Some(48)),
            Known(
                "request_start_time_ns",
                "request",
                "start_time_ns",
                Some(104),
            ),
            Known("request_state", "request", "state", Some(148)),
            Known("queue_disk", "request_queue", "disk", Some(160)),
            Known("task_state", "task_struct", "__state", Some(24)),
            Known("task_pid", "task_struct", "pid", Some(2456)),
            Known("task_tgid", "task_struct", "tgid", Some(2460)),
            Known("task_comm", "task_struct", "comm", Some(2960)),
        ],
    },
];

/// Each with its BTF.
pub(crate) fn kernels() -> Vec<(&'static Kernel, Vec<u8>)> {
    let fixtures = fixtures();
    let (_, base) = fixtures.iter().find(|(name, _)| name == BASE).unwrap();
    let kernels = KERNELS.iter();
    kernels
        .map(|kernel| (kernel, kernel.made_of(Types::read(base)).write()))
        .collect()
}

impl Kernel {
    fn made_of(&self, mut types: Types) -> Types {
        for Known(_, structure, member, at) in self.fields {
            place(&mut types, structure, member, *at);
        }
        let pointer = types.named(TYPEDEF, "btf_trace_sched_switch").size_or_type;
        let proto = types.0[pointer as usize - 1].size_or_type;
        let arguments = &mut types.0[proto as usize - 1].parts;
        arguments.resize(1 + self.switch, (String::new(), vec![0]));
        if self.has_io_start {
            tracepoint(&mut types, "block_io_start", 1);
        }
        types
    }
}

/// Moves a member, adds it as a pointer where there is none, or takes it away.
fn place(types: &mut Types, structure: &str, member: &str, at: Option<u32>) {
    let pointer = types.add(Type::new(PTR, "", 0));
    let members = &mut types.named(STRUCT, structure).parts;
    let Some(at) = at else {
        return members.retain(|(name, _)| name != member);
    };
    match members.iter_mut().find(|(name, _)| name == member) {
        Some((_, words)) => words[1] = 8 * at,
        None => members.push((member.to_owned(), vec![pointer, 8 * at])),
    }
}

/// With so many arguments besides `void *__data`.
pub(crate) fn tracepoint(types: &mut Types, name: &str, arguments: usize) {
    let mut proto = Type::new(FUNC_PROTO, "", 0);
    proto.parts = vec![(String::new(), vec![0]); 1 + arguments];
    let proto = types.add(proto);
    let pointer = types.add(Type::new(PTR, "", proto));
    types.add(Type::new(TYPEDEF, &format!("btf_trace_{name}"), pointer));
}
