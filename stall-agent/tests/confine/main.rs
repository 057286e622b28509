//! What a process can do that has confined itself: the real filter in a real process, which is this test's own program
//! started again.

use std::ffi::CString;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitCode, ExitStatus};

use libtest_mimic::{Arguments, Failed, Trial};
use nix::errno::Errno;
use stall_agent::confine;

/// Tells this program to confine itself and do what the next argument says.
const CONFINED: &str = "--confined";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    if let [_, first, act] = words.as_slice()
        && first == CONFINED
    {
        return confined(act);
    }
    let trials = [
        Trial::test("executing_a_program_ends_it", || {
            ends_by("execve", libc::SIGSYS)
        }),
        Trial::test("what_it_does_not_need_is_refused", refused),
        Trial::test("what_it_needs_works", works),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials.into()).exit_code()
}

fn again(act: &str) -> Result<ExitStatus, Failed> {
    let own = std::env::current_exe()?;
    Ok(Command::new(own).args([CONFINED, act]).status()?)
}

fn ends_by(act: &str, signal: i32) -> Result<(), Failed> {
    match again(act)? {
        status if status.signal() == Some(signal) => Ok(()),
        status => Err(format!("{act}: {status}").into()),
    }
}

fn ends_with(act: &str, code: i32) -> Result<(), Failed> {
    match again(act)? {
        status if status.code() == Some(code) => Ok(()),
        status => Err(format!("{act}: {status}").into()),
    }
}

fn refused() -> Result<(), Failed> {
    for (act, ..) in REFUSED {
        ends_with(act, Errno::EPERM as i32)?;
    }
    Ok(())
}

fn works() -> Result<(), Failed> {
    ["thread", "create", "read", "abort"]
        .into_iter()
        .try_for_each(|act| match act {
            "abort" => ends_by(act, libc::SIGABRT),
            _ => ends_with(act, 0),
        })
}

type Arguments6 = [i64; 6];

/// Calls that would work without the filter, or fail with another error than `EPERM`.
const REFUSED: [(&str, i64, Arguments6); 12] = [
    (
        "fork",
        libc::SYS_clone,
        [libc::SIGCHLD as i64, 0, 0, 0, 0, 0],
    ),
    (
        "socket",
        libc::SYS_socket,
        [libc::AF_INET as i64, libc::SOCK_STREAM as i64, 0, 0, 0, 0],
    ),
    (
        "ptrace",
        libc::SYS_ptrace,
        [libc::PTRACE_TRACEME as i64, 0, 0, 0, 0, 0],
    ),
    ("bpf program", libc::SYS_bpf, [5, 0, 0, 0, 0, 0]),
    ("bpf map", libc::SYS_bpf, [0, 0, 0, 0, 0, 0]),
    ("kill", libc::SYS_kill, [0, 0, 0, 0, 0, 0]),
    ("signal to another", libc::SYS_tgkill, [1, 1, 0, 0, 0, 0]),
    (
        "executable memory",
        libc::SYS_mmap,
        [0, 4096, 5, 0x22, -1, 0],
    ),
    (
        "pipe type for the user",
        libc::SYS_ioctl,
        [0, 0x5412, 0, 0, 0, 0],
    ),
    ("unshare", libc::SYS_unshare, [0, 0, 0, 0, 0, 0]),
    ("seccomp", libc::SYS_seccomp, [2, 0, 0, 0, 0, 0]),
    ("name a process", libc::SYS_prctl, [4, 0, 0, 0, 0, 0]),
];

/// In the process that confines itself: the exit code is 0 or the error.
fn confined(act: &str) -> ExitCode {
    let folder = tempfile::tempdir().expect("a folder for files");
    let told = confine::confine(|| true);
    if !told.system_call_filter {
        eprintln!("{:?}", told.refused);
        return ExitCode::from(255);
    }
    if let Some((_, call, arguments)) = REFUSED.iter().find(|(name, ..)| *name == act) {
        return code(system_call(*call, arguments));
    }
    match act {
        "execve" => {
            let path = CString::new("/bin/true").expect("there is no NUL in it");
            code(system_call(
                libc::SYS_execve,
                &[path.as_ptr() as i64, 0, 0, 0, 0, 0],
            ))
        }
        "thread" => {
            let thread = std::thread::spawn(|| fs::read("/proc/self/status").map(drop));
            exit(thread.join().is_ok_and(|read| read.is_ok()))
        }
        "create" => {
            let file = folder.path().join("file");
            let written = fs::File::create_new(&file).is_ok();
            let again = fs::OpenOptions::new().write(true).open(&file);
            let refused = again.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM));
            exit(written && refused)
        }
        "read" => {
            exit(fs::read_dir("/sys/block").is_ok() && fs::read_link("/proc/self/exe").is_ok())
        }
        "abort" => std::process::abort(),
        _ => ExitCode::from(254),
    }
}

fn system_call(call: i64, [a, b, c, d, e, f]: &Arguments6) -> i64 {
    // SAFETY: the filter keeps the kernel from carrying the call out; if it did not, none of these calls touches memory
    // of this process other than by the path it is given.
    unsafe { libc::syscall(call, *a, *b, *c, *d, *e, *f) }
}

fn code(result: i64) -> ExitCode {
    ExitCode::from(if result < 0 {
        Errno::last_raw() as u8
    } else {
        0
    })
}

fn exit(done: bool) -> ExitCode {
    ExitCode::from(u8::from(!done))
}
