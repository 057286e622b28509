//! A file to be: a name in a directory that is held open from the first look at it to the end.
//!
//! The path is resolved once, so what is put in place of one of its directories later has no effect. The file is filled
//! without a name where the filesystem can (`O_TMPFILE`): then nothing is left of it when the process is killed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::path::Path;

use crate::file::directory;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;

/// Readable and writable by its owner only.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);
const NEW: OFlags = OFlags::RDWR.union(OFlags::CLOEXEC);

/// Written in advance, to find a full disk.
pub(super) const PROBE: [u8; 4096] = [b' '; 4096];

/// Where a file will be.
#[derive(Debug)]
pub(super) struct Place {
    directory: OwnedFd,
    name: OsString,
}

/// A file being written, which goes if it is not given its place.
struct New<'a> {
    place: &'a Place,
    file: File,
    /// `None` while it has none.
    name: Option<OsString>,
}

impl Place {
    /// Opens the directory.
    pub(super) fn find(path: &Path) -> io::Result<Self> {
        let Some(name) = path.file_name().filter(|_| !ends_in_slash(path)) else {
            return Err(io::Error::other("it names no file"));
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            directory: rustix::fs::open(directory(path), flags, Mode::empty())?,
            name: name.to_owned(),
        })
    }

    /// Whether there is nothing but a plain file to be replaced: a rename onto `/dev/stdout` would take that away from
    /// everybody.
    pub(super) fn check(&self) -> io::Result<()> {
        let stat = rustix::fs::statat(&self.directory, &self.name, AtFlags::SYMLINK_NOFOLLOW);
        let kind = match stat {
            Ok(stat) => FileType::from_raw_mode(stat.st_mode),
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        Err(io::Error::other(match kind {
            FileType::RegularFile => return Ok(()),
            FileType::Directory => "it is a directory",
            FileType::Symlink => "it is a symbolic link",
            _ => "not a regular file (use - for stdout)",
        }))
    }

    /// Fills a new file, and then gives it its place.
    pub(super) fn write(&self, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        self.check()?;
        let mut new = self.create()?;
        fill(&mut new.file)?;
        Ok(new.take_place()?)
    }

    /// Fills a new file, and lets it go.
    pub(super) fn try_out(&self, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        self.check()?;
        fill(&mut self.create()?.file)
    }

    fn create(&self) -> io::Result<New<'_>> {
        let unnamed = rustix::fs::openat(&self.directory, ".", NEW | OFlags::TMPFILE, PRIVATE);
        // Not every filesystem can, and each says so in its own way: open(2).
        let (file, name) = match unnamed {
            Ok(file) => (file, None),
            Err(_) => {
                let name = self.temporary_name();
                let flags = NEW | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let file = rustix::fs::openat(&self.directory, &name, flags, PRIVATE)?;
                (file, Some(name))
            }
        };
        Ok(New {
            place: self,
            file: file.into(),
            name,
        })
    }

    fn temporary_name(&self) -> OsString {
        let mut name = OsString::from(".");
        // A name may be as long as the filesystem allows, and then has no room for more.
        let is_short = self.name.len() < 200;
        name.push(if is_short {
            &self.name
        } else {
            OsStr::new("stall-agent")
        });
        name.push(format!(".{:016x}.tmp", random()));
        name
    }
}

impl New<'_> {
    /// A rename replaces what is there, a link too, instead of following it.
    fn take_place(mut self) -> rustix::io::Result<()> {
        let (directory, target) = (&self.place.directory, &self.place.name);
        if self.name.is_none() {
            match self.link(target) {
                Err(Errno::EXIST) => {}
                done => return done,
            }
            let name = self.place.temporary_name();
            self.link(&name)?;
            self.name = Some(name);
        }
        if let Some(name) = &self.name {
            rustix::fs::renameat(directory, name, directory, target)?;
        }
        self.name = None;
        Ok(())
    }

    /// Gives it a name that is free.
    fn link(&self, name: &OsStr) -> rustix::io::Result<()> {
        let own = format!("/proc/self/fd/{}", self.file.as_fd().as_raw_fd());
        let directory = &self.place.directory;
        rustix::fs::linkat(CWD, own, directory, name, AtFlags::SYMLINK_FOLLOW)
    }
}

impl Drop for New<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // What cannot be removed was told by what failed before.
            let _ = rustix::fs::unlinkat(&self.place.directory, name, AtFlags::empty());
        }
    }
}

/// A number nobody can guess: the keys of a hash map are such.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn ends_in_slash(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn hello(file: &mut File) -> io::Result<()> {
        file.write_all(b"hello")
    }

    fn names(directory: &Path) -> Vec<OsString> {
        let entries = directory.read_dir().unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[test]
    fn a_directory_that_is_replaced_later_is_not_written_to() {
        let parent = tempfile::tempdir().unwrap();
        let (real, moved) = (parent.path().join("real"), parent.path().join("moved"));
        let victim = tempfile::tempdir().unwrap();
        fs::create_dir(&real).unwrap();
        let place = Place::find(&real.join("stall.json")).unwrap();
        fs::rename(&real, &moved).unwrap();
        symlink(victim.path(), &real).unwrap();
        place.write(hello).unwrap();
        assert!(names(victim.path()).is_empty());
        assert_eq!(fs::read(moved.join("stall.json")).unwrap(), b"hello");
    }

    #[test]
    fn named_or_not_a_file_takes_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stall.json");
        let place = Place::find(&path).unwrap();
        // Nothing there, then the one before; without a name while it is written, then with one.
        for with_name in [false, false, true] {
            let mut new = place.create().unwrap();
            if with_name {
                let name = place.temporary_name();
                new.link(&name).unwrap();
                new.name = Some(name);
            }
            hello(&mut new.file).unwrap();
            new.take_place().unwrap();
            assert_eq!(names(directory.path()), ["stall.json"]);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_not_finished_leaves_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::find(&directory.path().join("stall.json")).unwrap();
        let mut new = place.create().unwrap();
        let name = place.temporary_name();
        new.link(&name).unwrap();
        new.name = Some(name);
        drop(new);
        assert!(names(directory.path()).is_empty());
        assert!(place.write(|_| Err(io::Error::other("no"))).is_err());
        assert!(names(directory.path()).is_empty());
    }
}
