//! A tree of files in a temporary directory, standing for a host.

#![expect(clippy::unwrap_used, reason = "what cannot be laid out fails the test")]
#![expect(clippy::disallowed_methods, reason = "makes the files that are read")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::HostRoot;

pub struct Fixture {
    directory: tempfile::TempDir,
}

impl Default for Fixture {
    fn default() -> Self {
        Self::new()
    }
}

impl Fixture {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory }
    }

    /// In memory where there is such a place, for trees of many files.
    pub fn in_memory() -> Self {
        let directory = tempfile::tempdir_in("/dev/shm");
        directory.map_or_else(|_| Self::new(), |directory| Self { directory })
    }

    pub fn root(&self) -> HostRoot {
        HostRoot::new(self.directory.path())
    }

    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let path = self.place(path);
        fs::write(path, content).unwrap();
        self
    }

    /// Each line is `path=content`; the content ends in a line feed, as in sysfs.
    pub fn files(&self, directory: &str, lines: &str) -> &Self {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (path, content) = line.split_once('=').unwrap();
            self.file(&format!("{directory}/{path}"), format!("{content}\n"));
        }
        self
    }

    pub fn directory(&self, path: &str) -> &Self {
        fs::create_dir_all(self.directory.path().join(path)).unwrap();
        self
    }

    /// A file of this length that takes no room.
    pub fn sparse(&self, path: &str, length: u64) -> &Self {
        let file = fs::File::create(self.place(path)).unwrap();
        file.set_len(length).unwrap();
        self
    }

    pub fn link(&self, path: &str, target: &str) -> &Self {
        symlink(target, self.place(path)).unwrap();
        self
    }

    /// A node of a block device; false where making one is not permitted.
    pub fn block_device(&self, path: &str, major: u64, minor: u64) -> bool {
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        let node = self.place(path);
        mknod(&node, SFlag::S_IFBLK, Mode::S_IRUSR, makedev(major, minor)).is_ok()
    }

    fn place(&self, path: &str) -> std::path::PathBuf {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).unwrap();
        path
    }
}
