//! Messages to a stderr that is a file: a process of its own puts them there, since the file's disk may be the one that hangs.
//!
//! What is written to stderr goes into a socket instead, in the order in which it is said, and waits for nobody: when the disk does
//! not take it the socket is full in the end, and what is said then is lost. At its end the agent waits until all of it is in the file,
//! with a deadline.

use std::io::{self, Read as _};
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;
use std::time::Duration;

use super::deadline::{self, Patient};
use super::{is_file, writer, writer_process};

/// For the messages that are not in the file yet.
const WRITTEN_WITHIN: Duration = Duration::from_secs(5);

/// Our end, of which stderr is a copy.
static OURS: OnceLock<UnixStream> = OnceLock::new();

/// Nothing the agent says waits for a disk from now on. Comes before there is any other thread.
///
/// # Errors
///
/// When there can be no such process; messages are written as before then.
pub fn apart() -> io::Result<()> {
    if OURS.get().is_some() || !is_file(io::stderr().as_fd()) {
        return Ok(());
    }
    let (ours, theirs) = UnixStream::pair()?;
    deadline::in_steps(&ours)?;
    writer::apart(|| writer_process::pass_on(&theirs))?;
    writer_process::put_in_place(ours.as_fd(), &[libc::STDERR_FILENO])?;
    // It was empty.
    let _ = OURS.set(ours);
    Ok(())
}

/// Comes back when everything said is in the file, or when that takes too long. Nothing is said after it.
pub fn end() {
    let Some(ours) = OURS.get() else { return };
    // Whoever is gone needs no end.
    let _ = ours.shutdown(Shutdown::Write);
    let _ = Patient::new(ours, WRITTEN_WITHIN).read(&mut [0]);
}
