//! Documents into one directory, again and again, by a process of its own, which may hang with the disk it writes to.
//!
//! Contract: as of a [`super::Output`], each file appears atomically. When the process did not answer once nothing is given to
//! it any more.

use std::cell::Cell;
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::deadline::Patient;
use super::document::Document;
use super::framing::{self, PIECE, Pieces};
use super::writer;
use super::writer_process::{REMOVE, Target, WRITE, WRITE_FOR_ALL};

/// To remove one.
const REMOVED_WITHIN: Duration = Duration::from_secs(5);

/// Our end.
#[derive(Debug)]
pub struct Folder {
    socket: UnixStream,
    path: PathBuf,
    has_failed: Cell<bool>,
}

impl Folder {
    /// Makes sure that files can be made there. Comes before there is any other thread.
    ///
    /// # Errors
    ///
    /// Why they cannot.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            socket: writer::start(&Target::Folder(path.to_owned()))?,
            path: path.to_owned(),
            has_failed: Cell::new(false),
        })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file; the bytes of it.
    ///
    /// # Errors
    ///
    /// When it is not there, or not in time.
    pub fn write(&self, name: &str, document: &impl Document, within: Duration) -> io::Result<u64> {
        self.give(WRITE, name, document, within)
    }

    /// The same, readable by everybody: what another program picks up.
    ///
    /// # Errors
    ///
    /// As for [`Self::write`].
    pub fn write_for_all(
        &self,
        name: &str,
        document: &impl Document,
        within: Duration,
    ) -> io::Result<u64> {
        self.give(WRITE_FOR_ALL, name, document, within)
    }

    fn give(
        &self,
        how: u8,
        name: &str,
        document: &impl Document,
        within: Duration,
    ) -> io::Result<u64> {
        self.ask(within, |patient| {
            ask(patient, how, name)?;
            let pieces = Counted {
                inner: Pieces(*patient),
                bytes: 0,
            };
            let mut pieces = BufWriter::with_capacity(PIECE, pieces);
            document(&mut pieces)?;
            pieces.flush()?;
            let (pieces, _) = pieces.into_parts();
            pieces.inner.end()?;
            Ok(pieces.bytes)
        })
    }

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// When it is still there, or nobody knows.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        self.ask(REMOVED_WITHIN, |patient| ask(patient, REMOVE, name))
    }

    fn ask<T>(
        &self,
        within: Duration,
        act: impl FnOnce(&mut Patient<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.has_failed.get() {
            return Err(io::Error::other(
                "the process that writes there did not answer before",
            ));
        }
        let mut patient = Patient::new(&self.socket, within);
        let asked = act(&mut patient);
        let done = match asked {
            Ok(done) => framing::heard(&mut patient).map(|()| done),
            Err(error) => Err(error),
        };
        done.map_err(|error| {
            // What it was told in words leaves the two in step.
            if error.kind() != ErrorKind::Other {
                self.has_failed.set(true);
                let _ = self.socket.shutdown(Shutdown::Both);
            }
            writer::in_words(&error, within)
        })
    }
}

fn ask(to: &mut Patient<'_>, what: u8, name: &str) -> io::Result<()> {
    let mut words = vec![what];
    words.extend_from_slice(name.as_bytes());
    framing::send(to, &words)
}

struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: io::Write> io::Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    fn hello(writer: &mut dyn io::Write) -> io::Result<()> {
        writer.write_all(b"hello")
    }

    #[test]
    fn files_come_are_replaced_and_go() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
        let long = |writer: &mut dyn io::Write| writer.write_all(&[b'x'; 3 * PIECE]);
        assert_eq!(folder.write("a", &long, SOON).unwrap(), 3 * PIECE as u64);
        assert_eq!(folder.write("a", &hello, SOON).unwrap(), 5);
        assert_eq!(folder.write("b", &hello, SOON).unwrap(), 5);
        folder.remove("b").unwrap();
        assert_eq!(fs::read(directory.path().join("a")).unwrap(), b"hello");
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_told_and_the_next_is() {
        let directory = tempfile::tempdir().unwrap();
        assert!(Folder::open(&directory.path().join("no/such")).is_err());
        let folder = Folder::open(directory.path()).unwrap();
        fs::create_dir(directory.path().join("a")).unwrap();
        let refused = folder.write("a", &hello, SOON).unwrap_err();
        assert_eq!(refused.to_string(), "it is a directory");
        assert!(folder.remove("none").is_err());
        folder.write("b", &hello, SOON).unwrap();
        assert_eq!(fs::read(directory.path().join("b")).unwrap(), b"hello");
    }

    #[test]
    fn one_that_is_given_up_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::open(directory.path()).unwrap();
        let failing = |writer: &mut dyn io::Write| {
            writer.write_all(&[b' '; 2 * PIECE])?;
            Err(io::Error::from_raw_os_error(libc::EILSEQ))
        };
        assert!(folder.write("a", &failing, SOON).is_err());
        assert!(
            folder.write("b", &hello, SOON).is_err(),
            "it is out of step"
        );
        drop(folder);
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
    }
}
