//! What the process that writes a document does: waits for it, writes it, says how it went, ends. And what the one does that
//! writes messages: it passes on what comes.
//!
//! Each holds its end of a socket and the place, and nothing else of the process it was made from: no program, map or hook of
//! the kernel's, and no pipe that somebody waits for the end of. When the other end goes before the document was whole,
//! nothing comes of it.

use std::ffi::{CStr, OsStr};
use std::fs::{File, Permissions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use nix::sys::signal::SigSet;

use super::framing::{self, PIECE};
use super::new_file::PROBE;
use super::new_file::Place;
use crate::confine;

/// What such a process is called.
const WRITER: &CStr = c"stall-writer";

/// What is written to.
#[derive(Debug)]
pub(super) enum Target {
    File(PathBuf),
    /// Files in a directory, as they are asked for.
    Folder(PathBuf),
    /// What it is in the process that this one is made from.
    Stdout,
}

/// The whole life of the process.
pub(super) fn serve(socket: &UnixStream, target: &Target) {
    child_main(WRITER, || match target {
        Target::File(path) => file(socket, path),
        Target::Folder(path) => folder(socket, path),
        Target::Stdout => stdout(socket),
    });
}

/// The whole life of a process that does something else, and lets go of its end of the socket when that is done.
pub(super) fn run_errand(socket: &UnixStream, act: impl FnOnce()) {
    child_main(c"stall-reader", || {
        if alone(&[socket.as_raw_fd()]).is_ok() {
            act();
        }
    });
}

/// The whole life of the process that writes messages: what comes through the socket goes to stderr, until there is no more.
pub(super) fn pass_on(socket: &UnixStream) {
    child_main(WRITER, || {
        let Ok(mut stderr) = held_alone(io::stderr().as_fd(), socket) else {
            return;
        };
        confine::confine_writer(None);
        let mut from = socket;
        // Nobody is there to be told.
        let _ = io::copy(&mut from, &mut stderr);
    });
}

fn child_main(name: &CStr, act: impl FnOnce()) {
    // Signals are for the process that traces; the end of that is the end of this one.
    let _ = SigSet::all().thread_block();
    let _ = rustix::thread::set_name(name);
    // What it panics of is told by the silence of its end.
    let _ = catch_unwind(AssertUnwindSafe(act));
}

/// Makes descriptors ones of nothing.
pub(super) fn redirect_to_dev_null(descriptors: &[RawFd]) -> io::Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    put_in_place(nothing.as_fd(), descriptors)
}

/// Makes descriptors copies of another.
pub(super) fn put_in_place(other: BorrowedFd<'_>, descriptors: &[RawFd]) -> io::Result<()> {
    for descriptor in descriptors {
        // SAFETY: both are numbers of descriptors; these, of stdin, stdout and stderr, are owned by nobody.
        if unsafe { libc::dup2(other.as_raw_fd(), *descriptor) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn file(socket: &UnixStream, path: &Path) {
    let place = alone_but(socket).and_then(|()| tried(path));
    confine::confine_writer(Some(path));
    if let Some(place) = ready(socket, place) {
        take(socket, |fill| write(socket, &place, fill));
    }
}

/// The place of a file, at which one can be written.
fn tried(path: &Path) -> io::Result<Place> {
    let place = Place::find(path)?;
    place.try_out(|file| file.write_all(&PROBE))?;
    Ok(place)
}

/// What is asked of the process that writes files in a directory, before the name of one.
pub(super) const WRITE: u8 = b'w';
pub(super) const WRITE_FOR_ALL: u8 = b'a';
pub(super) const REMOVE: u8 = b'r';

/// Does what is asked, until nobody is there to ask.
fn folder(mut socket: &UnixStream, path: &Path) {
    let any = path.join(".probe");
    let found = alone_but(socket).and_then(|()| tried(&any));
    confine::confine_writer(Some(&any));
    if ready(socket, found).is_none() {
        return;
    }
    let mut buffer = vec![0; PIECE];
    while let Ok(asked) = framing::receive(&mut socket, &mut buffer) {
        let Some((what, name)) = asked.split_first() else {
            return;
        };
        let file = path.join(OsStr::from_bytes(name));
        match *what {
            WRITE => take(socket, |fill| write(socket, &Place::find(&file)?, fill)),
            WRITE_FOR_ALL => take(socket, |fill| {
                let mut fill = |file: &mut File| {
                    file.set_permissions(Permissions::from_mode(0o644))?;
                    fill(file)
                };
                write(socket, &Place::find(&file)?, &mut fill)
            }),
            _ => {
                let removed = std::fs::remove_file(&file);
                // Whoever is gone does not want to know.
                let _ = framing::answer(&mut socket, &removed);
            }
        }
    }
}

fn write(socket: &UnixStream, place: &Place, fill: Fill<'_>) -> io::Result<()> {
    place.write(|file| {
        fill(file)?;
        file.sync_all()?;
        is_awaited(socket)
    })
}

fn stdout(socket: &UnixStream) {
    let stdout = held_alone(io::stdout().as_fd(), socket);
    confine::confine_writer(None);
    if let Some(mut stdout) = ready(socket, stdout) {
        // Closed before the answer, which is to come after everything that may hang.
        take(socket, move |fill| {
            fill(&mut stdout)?;
            synced(&stdout)
        });
    }
}

/// On the disk, where the filesystem knows of one.
fn synced(file: &File) -> io::Result<()> {
    match file.sync_all() {
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(()),
        done => done,
    }
}

fn ready<T>(mut socket: &UnixStream, found: io::Result<T>) -> Option<T> {
    let (found, said) = match found {
        Ok(found) => (Some(found), Ok(())),
        Err(error) => (None, Err(error)),
    };
    framing::answer(&mut socket, &said).ok().and(found)
}

/// Fills a file.
type Fill<'a> = &'a mut dyn FnMut(&mut File) -> io::Result<()>;

/// Waits for the document, has it written, and says how that went.
fn take(mut socket: &UnixStream, write: impl FnOnce(Fill<'_>) -> io::Result<()>) {
    let mut buffer = vec![0; PIECE];
    // Nothing is made before it is known that something comes.
    let Ok(first) = framing::receive(&mut socket, &mut buffer).map(<[u8]>::to_vec) else {
        return;
    };
    let mut rest = !first.is_empty();
    let mut fill = |file: &mut File| {
        file.write_all(&first)?;
        while rest {
            let piece = framing::receive(&mut socket, &mut buffer)?;
            rest = !piece.is_empty();
            file.write_all(piece)?;
        }
        Ok(())
    };
    let written = write(&mut fill);
    // Taken to its end in any case, since the other end listens after that only.
    while rest && framing::receive(&mut socket, &mut buffer).is_ok_and(|piece| !piece.is_empty()) {}
    // Whoever is gone does not want to know.
    let _ = framing::answer(&mut socket, &written);
}

/// An error when the other end has given up: then the document is kept elsewhere, and is not to appear here as well.
fn is_awaited(mut socket: &UnixStream) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let heard = socket.read(&mut [0]);
    socket.set_nonblocking(false)?;
    match heard {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        _ => Err(ErrorKind::BrokenPipe.into()),
    }
}

/// A copy of a descriptor, which is held beside the socket and no other.
fn held_alone(descriptor: BorrowedFd<'_>, socket: &UnixStream) -> io::Result<File> {
    let copy = descriptor.try_clone_to_owned()?;
    alone(&[socket.as_raw_fd(), copy.as_raw_fd()])?;
    Ok(copy.into())
}

/// Lets go of all descriptors but the socket.
fn alone_but(socket: &UnixStream) -> io::Result<()> {
    alone(&[socket.as_raw_fd()])
}

/// Lets go of all descriptors but these.
fn alone(kept: &[RawFd]) -> io::Result<()> {
    redirect_to_dev_null(&[0, 1, 2])?;
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    let mut next = 3;
    for descriptor in kept {
        close(next, descriptor - 1)?;
        next = descriptor + 1;
    }
    close(next, RawFd::MAX)
}

fn close(first: RawFd, last: RawFd) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: they belong to objects of the process that this one was made from, none of which is used or dropped here. The
    // call takes no pointer.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
