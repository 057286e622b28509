//! A socket that is waited for until a moment, and not longer.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// How long one call waits. The moment is looked at in between, so that a peer that takes a byte now and then does not
/// put it off.
const STEP: Duration = Duration::from_millis(100);

/// One end, for as long as somebody is willing to wait.
#[derive(Clone, Copy)]
pub(super) struct Patient<'a> {
    socket: &'a UnixStream,
    until: Instant,
}

/// Makes an end fit for it.
pub(super) fn in_steps(socket: &UnixStream) -> io::Result<()> {
    socket.set_read_timeout(Some(STEP))?;
    socket.set_write_timeout(Some(STEP))
}

impl<'a> Patient<'a> {
    pub(super) fn new(socket: &'a UnixStream, within: Duration) -> Self {
        let until = Instant::now() + within;
        Self { socket, until }
    }

    fn repeat(&self, mut step: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
        loop {
            match step() {
                // A call with a timeout that a signal interrupts is not restarted (signal(7)).
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                done => return done,
            }
            if Instant::now() >= self.until {
                return Err(ErrorKind::TimedOut.into());
            }
        }
    }
}

impl Read for Patient<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.socket;
        self.repeat(|| socket.read(buffer))
    }
}

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.socket;
        self.repeat(|| socket.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_read_or_answer_is_given_up() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        in_steps(&ours).unwrap();
        let begin = Instant::now();
        let within = Duration::from_millis(300);
        let mut patient = Patient::new(&ours, within);
        let full = patient.write_all(&vec![0; 16 << 20]).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::TimedOut);
        let silent = Patient::new(&ours, within).read(&mut [0]).unwrap_err();
        assert_eq!(silent.kind(), ErrorKind::TimedOut);
        assert!(begin.elapsed() >= 2 * within);
    }

    #[test]
    fn who_is_gone_is_not_waited_for() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        in_steps(&ours).unwrap();
        drop(theirs);
        let mut patient = Patient::new(&ours, Duration::from_secs(3600));
        assert_eq!(patient.read(&mut [0]).unwrap(), 0);
        let gone = patient.write(&[0]).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::BrokenPipe);
    }
}
