//! The system calls of the steady state, and no others (seccomp(2)).
//!
//! Executing a program ends the process at once: the agent never does, so it is not the agent any more that asks. Any
//! other call that is not expected fails with `EPERM` and the run goes on: what was collected must not be lost to a
//! call that a new version of some library makes. Of the expected ones some may be used in part only.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use super::calls;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Commands of bpf(2) (include/uapi/linux/bpf.h) that read and write maps by descriptor and run the iterator. None
/// loads a program, makes a map, or opens one by its id or path.
const BPF: [u64; 8] = [
    1,  // BPF_MAP_LOOKUP_ELEM
    2,  // BPF_MAP_UPDATE_ELEM
    3,  // BPF_MAP_DELETE_ELEM
    4,  // BPF_MAP_GET_NEXT_KEY
    15, // BPF_OBJ_GET_INFO_BY_FD
    24, // BPF_MAP_LOOKUP_BATCH
    28, // BPF_LINK_CREATE: of the iterator, for each look
    33, // BPF_ITER_CREATE
];

/// What is asked of a terminal, and of any descriptor (include/uapi/asm-generic/ioctls.h, the same on both
/// architectures). `TIOCSTI`, which types for the user, is not here.
const IOCTL: [u64; 12] = [
    0x5401,      // TCGETS
    0x5402,      // TCSETS
    0x5403,      // TCSETSW
    0x5404,      // TCSETSF
    0x802c_542a, // TCGETS2
    0x402c_542b, // TCSETS2
    0x402c_542c, // TCSETSW2
    0x402c_542d, // TCSETSF2
    0x5413,      // TIOCGWINSZ
    0x541b,      // FIONREAD
    0x5421,      // FIONBIO
    0x5451,      // FIOCLEX
];

/// What a file is opened for. Not `O_ACCMODE`, which has `O_PATH` in it for musl: a directory that is to be written to would not be
/// opened there, and nothing be kept in memory.
const ACCESS: u64 = (libc::O_WRONLY | libc::O_RDWR) as u64;

/// `PR_SET_NAME`, `PR_GET_NAME`, and `PR_SET_VMA`, with which allocators name their memory.
const PRCTL: [u64; 3] = [15, 16, 0x5356_4d41];

/// Sets the filters for this thread and those it starts.
///
/// # Errors
///
/// In words, when the kernel has no seccomp or refuses.
pub(super) fn install() -> Result<(), String> {
    let all = || Ok([programs_end_it()?, no_clone3()?, expected()?]);
    let installed = all().and_then(|all| {
        let mut all = all.iter();
        all.try_for_each(|filter| seccompiler::apply_filter_all_threads(filter))
    });
    installed.map_err(|error| {
        let text = error.to_string();
        format!(
            "system calls are not filtered ({})",
            text.trim_end_matches('.')
        )
    })
}

fn programs_end_it() -> Result<BpfProgram, seccompiler::Error> {
    let calls = [libc::SYS_execve, libc::SYS_execveat];
    let rules = calls.map(any).into();
    filter(rules, SeccompAction::Allow, SeccompAction::KillProcess)
}

/// Its flags are in memory, where a filter does not look; without it, libraries use `clone`.
fn no_clone3() -> Result<BpfProgram, seccompiler::Error> {
    let rules = [any(libc::SYS_clone3)].into();
    let absent = SeccompAction::Errno(libc::ENOSYS as u32);
    filter(rules, SeccompAction::Allow, absent)
}

fn expected() -> Result<BpfProgram, seccompiler::Error> {
    let mut rules: Rules = calls::plain().map(any).collect();
    rules.insert(libc::SYS_clone3, Vec::new());
    rules.extend(bounded()?);
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    filter(rules, refused, SeccompAction::Allow)
}

/// Calls of which some uses are allowed.
fn bounded() -> Result<Rules, seccompiler::Error> {
    let own = u64::from(std::process::id());
    let mut rules = Rules::new();
    let mut add = |call: c_long, several: Vec<SeccompRule>| rules.insert(call, several);
    add(libc::SYS_bpf, one_of(0, &BPF)?);
    add(libc::SYS_ioctl, one_of(1, &IOCTL)?);
    add(libc::SYS_prctl, one_of(0, &PRCTL)?);
    // Threads, and no processes.
    add(
        libc::SYS_clone,
        masked(0, &[(libc::CLONE_THREAD as u64, libc::CLONE_THREAD as u64)])?,
    );
    // To itself: abort(3) does.
    add(libc::SYS_tgkill, one_of(0, &[own])?);
    // Of itself, and only to ask.
    add(
        libc::SYS_prlimit64,
        vec![rule(vec![
            dword(0, SeccompCmpOp::Eq, 0)?,
            qword(2, SeccompCmpOp::Eq, 0)?,
        ])?],
    );
    // Nothing becomes executable.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        add(call, masked(2, &[(libc::PROT_EXEC as u64, 0)])?);
    }
    // A pair, as a signal handler writes to; no other socket.
    add(libc::SYS_socketpair, one_of(0, &[libc::AF_UNIX as u64])?);
    add(libc::SYS_openat, opened(2)?);
    #[cfg(target_arch = "x86_64")]
    add(libc::SYS_open, opened(1)?);
    Ok(rules)
}

/// Existing files are read; those written to are new ones, with or without a name.
fn opened(flags: u8) -> Result<Vec<SeccompRule>, seccompiler::Error> {
    let create = (libc::O_CREAT | libc::O_EXCL) as u64;
    let unnamed = libc::O_TMPFILE as u64;
    let truncate = libc::O_TRUNC as u64;
    let cases = [
        (ACCESS | create | truncate, libc::O_RDONLY as u64),
        (create, create),
        (unnamed, unnamed),
    ];
    masked(flags, &cases)
}

fn filter(
    rules: Rules,
    otherwise: SeccompAction,
    matching: SeccompAction,
) -> Result<BpfProgram, seccompiler::Error> {
    let architecture = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, otherwise, matching, architecture)?;
    Ok(filter.try_into()?)
}

fn any(call: c_long) -> (i64, Vec<SeccompRule>) {
    (call, Vec::new())
}

/// The argument is one of these.
fn one_of(argument: u8, values: &[u64]) -> Result<Vec<SeccompRule>, seccompiler::Error> {
    let rules = values.iter();
    rules
        .map(|value| rule(vec![dword(argument, SeccompCmpOp::Eq, *value)?]))
        .collect()
}

/// The argument's bits under a mask are these.
fn masked(argument: u8, cases: &[(u64, u64)]) -> Result<Vec<SeccompRule>, seccompiler::Error> {
    let rules = cases.iter();
    rules
        .map(|(mask, bits)| rule(vec![dword(argument, SeccompCmpOp::MaskedEq(*mask), *bits)?]))
        .collect()
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, seccompiler::Error> {
    Ok(SeccompRule::new(conditions)?)
}

/// The kernel looks at 32 bits of most of these arguments, so a filter must not look at more.
fn dword(
    argument: u8,
    how: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::Error> {
    Ok(SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Dword,
        how,
        value,
    )?)
}

fn qword(
    argument: u8,
    how: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::Error> {
    Ok(SeccompCondition::new(
        argument,
        SeccompCmpArgLen::Qword,
        how,
        value,
    )?)
}
