//! Writes a document by a process of its own, which may hang with the disk it writes to; it is waited for with a deadline.
//!
//! A thread would not do: one that waits for a disk keeps its whole process from ending. The process is made before
//! anything is loaded and before there are threads, holds nothing of ours but the place of the document, and ends with us,
//! or as soon as its disk lets it. It executes no program: it is this one.

use std::io::{self, BufWriter, ErrorKind, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use super::deadline::{self, Patient};
use super::document::Document;
use super::framing::{self, PIECE, Pieces};
use super::writer_process::{self, Target};

/// To find out that a place can be written to.
const READY_WITHIN: Duration = Duration::from_secs(10);

/// Our end.
#[derive(Debug)]
pub(super) struct Writer(UnixStream);

impl Writer {
    /// One for a file, which makes sure that it can be written.
    pub(super) fn of_file(path: &Path) -> io::Result<Self> {
        Self::start(&Target::File(path.to_owned()))
    }

    /// One for what stdout is; nobody else writes there from now on.
    pub(super) fn of_stdout() -> io::Result<Self> {
        let writer = Self::start(&Target::Stdout)?;
        // So that its last user is not we: closing a file may wait for its disk, too.
        writer_process::redirect_to_dev_null(&[libc::STDOUT_FILENO])?;
        Ok(writer)
    }

    /// Writes the document. Called once.
    pub(super) fn write(&self, document: &impl Document, within: Duration) -> io::Result<()> {
        let patient = Patient::new(&self.0, within);
        self.send(document, patient).map_err(|error| {
            // It is kept elsewhere now, and is not to appear here as well; nobody who is gone has to be told.
            let _ = self.0.shutdown(Shutdown::Both);
            in_words(&error, within)
        })
    }

    fn send(&self, document: &impl Document, mut patient: Patient<'_>) -> io::Result<()> {
        let mut pieces = BufWriter::with_capacity(PIECE, Pieces(patient));
        document(&mut pieces)?;
        pieces.flush()?;
        let (pieces, _) = pieces.into_parts();
        pieces.end()?;
        framing::heard(&mut patient)?;
        // Its end: nothing follows the answer.
        let _ = patient.read(&mut [0]);
        Ok(())
    }

    fn start(target: &Target) -> io::Result<Self> {
        start(target).map(Self)
    }
}

/// Our end of a process that writes there, once it has found that it can.
pub(super) fn start(target: &Target) -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    deadline::in_steps(&ours)?;
    apart(|| writer_process::serve(&theirs, target))?;
    drop(theirs);
    let mut patient = Patient::new(&ours, READY_WITHIN);
    framing::heard(&mut patient).map_err(|error| in_words(&error, READY_WITHIN))?;
    Ok(ours)
}

/// Does what may hang in a process of its own, and waits so long for its end. False when it goes on after that. Comes before
/// there is any other thread.
///
/// # Errors
///
/// When there can be no such process.
pub fn errand(within: Duration, act: impl FnOnce()) -> io::Result<bool> {
    let (ours, theirs) = UnixStream::pair()?;
    deadline::in_steps(&ours)?;
    // SAFETY: as in `apart`.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => {
            drop(theirs);
            let is_done = Patient::new(&ours, within).read(&mut [0]).is_ok();
            if is_done {
                // It has let go of its end, and so has nothing left to do.
                end_of(child)?;
            }
            Ok(is_done)
        }
        ForkResult::Child => {
            writer_process::run_errand(&theirs, act);
            // SAFETY: as in `apart`.
            unsafe { libc::_exit(0) }
        }
    }
}

/// Does something in a process that is nobody's child, so that nobody has to wait for it.
pub(super) fn apart(act: impl FnOnce()) -> io::Result<()> {
    // SAFETY: the agent has one thread when it makes its outputs. In a test there are others; what runs in the new process
    // takes memory, which glibc and musl allow after a fork, and no lock that another thread may have held.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => match end_of(child)? {
            WaitStatus::Exited(_, 0) => Ok(()),
            ended => Err(io::Error::other(format!("no process: {ended:?}"))),
        },
        ForkResult::Child => {
            // SAFETY: as above.
            let code = match unsafe { fork() } {
                Ok(ForkResult::Parent { .. }) => 0,
                Ok(ForkResult::Child) => {
                    act();
                    0
                }
                Err(errno) => errno as i32,
            };
            // SAFETY: ends this copy at once, without what the original does at its end.
            unsafe { libc::_exit(code) }
        }
    }
}

fn end_of(child: Pid) -> io::Result<WaitStatus> {
    loop {
        match waitpid(child, None) {
            Err(Errno::EINTR) => {}
            ended => return Ok(ended?),
        }
    }
}

pub(super) fn in_words(error: &io::Error, within: Duration) -> io::Error {
    match error.kind() {
        ErrorKind::TimedOut => io::Error::new(
            ErrorKind::TimedOut,
            format!("its disk has not responded for {} s", within.as_secs()),
        ),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => {
            io::Error::other("the writer process is gone")
        }
        _ => io::Error::other(crate::file::reason(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Instant;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn hello(writer: &mut dyn io::Write) -> io::Result<()> {
        writer.write_all(b"hello")
    }

    #[test]
    fn an_errand_is_waited_for_a_while() {
        assert!(errand(SOON, || {}).unwrap());
        let begin = Instant::now();
        let long = || std::thread::sleep(Duration::from_secs(3));
        assert!(!errand(Duration::from_millis(200), long).unwrap());
        assert!(begin.elapsed() < Duration::from_secs(2));
    }

    #[test]
    fn a_document_takes_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stall.json");
        let writer = Writer::of_file(&path).unwrap();
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
        writer.write(&hello, SOON).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        // Its process has ended.
        assert!(writer.write(&hello, SOON).is_err());
    }

    #[test]
    fn what_cannot_be_written_is_told_before_and_after() {
        let directory = tempfile::tempdir().unwrap();
        let refused = Writer::of_file(&directory.path().join("no/such")).unwrap_err();
        assert_eq!(refused.to_string(), "No such file or directory");
        let path = directory.path().join("stall.json");
        let writer = Writer::of_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let refused = writer.write(&hello, SOON).unwrap_err();
        assert_eq!(refused.to_string(), "it is a directory");
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stall.json");
        let writer = Writer::of_file(&path).unwrap();
        let failing = |writer: &mut dyn io::Write| {
            writer.write_all(&[b' '; 2 * PIECE])?;
            Err(io::Error::from_raw_os_error(libc::EILSEQ))
        };
        assert!(writer.write(&failing, SOON).is_err());
        drop(writer);
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }
}
