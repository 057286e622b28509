//! The table of programs, in the order they are attached.
//!
//! Ends before beginnings: what is attached first sees the end of everything that a later one sees
//! begin. They are detached in the reverse order.

/// One program of the object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Name of the function.
    pub program: &'static str,
    /// Name of the tracepoint, or what is iterated.
    pub hook: &'static str,
    pub kind: Kind,
    /// Arguments the tracepoint must pass at least and at most; the verifier refuses a load
    /// beyond the last.
    pub args: (usize, usize),
    /// Programs of one group stand in for each other; the first that fits is taken.
    pub group: &'static str,
    /// Not needed where the kernel has this tracepoint.
    pub instead_of: Option<&'static str>,
    pub need: Need,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `tp_btf`
    Tracepoint,
    /// `iter`
    Iterator,
}

/// What its group is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// There is no report without it.
    Required,
    /// The report lacks this without it.
    Optional(&'static str),
}

const ANY: usize = usize::MAX;

const fn tracepoint(hook: &'static str, args: (usize, usize), need: Need) -> Row {
    Row {
        program: hook,
        hook,
        kind: Kind::Tracepoint,
        args,
        group: hook,
        instead_of: None,
        need,
    }
}

/// Every program.
pub const CATALOG: &[Row] = &[
    tracepoint("block_rq_complete", (3, ANY), Need::Required),
    tracepoint(
        "block_rq_merge",
        (1, 1),
        Need::Optional("merged requests count as missed completions"),
    ),
    tracepoint(
        "block_rq_requeue",
        (1, 1),
        Need::Optional("requeues are not counted"),
    ),
    tracepoint("block_rq_issue", (1, 1), Need::Required),
    Row {
        group: "submission",
        ..tracepoint("block_io_start", (1, 1), Need::Required)
    },
    Row {
        instead_of: Some("block_io_start"),
        ..tracepoint(
            "block_getrq",
            (1, 1),
            Need::Optional("the submitter of requests that are issued directly is unknown"),
        )
    },
    Row {
        program: "block_getrq_three",
        instead_of: Some("block_io_start"),
        ..tracepoint(
            "block_getrq",
            (3, 3),
            Need::Optional("the submitter of requests that are issued directly is unknown"),
        )
    },
    Row {
        group: "submission",
        ..tracepoint("block_rq_insert", (1, 1), Need::Required)
    },
    tracepoint(
        "sched_process_exit",
        (1, ANY),
        Need::Optional("exits of processes are not reported"),
    ),
    tracepoint("sched_waking", (1, 1), Need::Required),
    Row {
        group: "switch",
        ..tracepoint("sched_switch", (4, 4), Need::Required)
    },
    Row {
        program: "sched_switch_three",
        group: "switch",
        ..tracepoint("sched_switch", (3, 3), Need::Required)
    },
    Row {
        program: "d_tasks",
        hook: "task",
        kind: Kind::Iterator,
        args: (0, ANY),
        group: "d_tasks",
        instead_of: None,
        need: Need::Optional(
            "tasks in D state since before the trace, or still at its end, are not reported",
        ),
    },
    Row {
        program: "older_requests",
        hook: "task",
        kind: Kind::Iterator,
        args: (0, ANY),
        group: "older_requests",
        instead_of: None,
        need: Need::Optional(
            "requests submitted before the trace and still pending at its end are not found",
        ),
    },
    Row {
        program: "task_io",
        hook: "task",
        kind: Kind::Iterator,
        args: (0, ANY),
        group: "task_io",
        instead_of: None,
        need: Need::Optional(
            "the processes whose data a kernel thread writes to a disk are unknown",
        ),
    },
];
