//! Where the host's files are, and how they are read: bounded, and never waiting on a pipe.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, IoSliceMut, Read};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, ReadWriteFlags};

/// Entries of one directory that are looked at.
pub(super) const MAX_ENTRIES: usize = 65_536;
pub(super) const READ: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);
/// Links are resolved as the host does, and lead nowhere outside of its root.
const WITHIN: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
/// No name is looked up on a disk (`RESOLVE_CACHED`, 5.12).
const IN_MEMORY: ResolveFlags = WITHIN.union(ResolveFlags::CACHED);
/// Longest value read from a file of sysfs.
const MAX_VALUE: u64 = 4096;

/// What a path of the host leads to.
#[derive(Debug)]
pub struct Place {
    /// Without links; `None` when it cannot be told.
    pub path: Option<String>,
    pub metadata: Metadata,
}

/// The directory that is `/` of the host: `/`, or where a container has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRoot {
    path: PathBuf,
    /// Whether it waits for a disk where it otherwise would not.
    waits: bool,
}

impl Default for HostRoot {
    fn default() -> Self {
        Self::new("/")
    }
}

impl HostRoot {
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            waits: false,
        }
    }

    /// The same for a process that may wait for any disk: what it has read is in memory for others.
    #[must_use]
    pub fn waiting(&self) -> Self {
        Self {
            waits: true,
            ..self.clone()
        }
    }

    /// Whether the host's `/` is this process's own.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.path == Path::new("/")
    }

    /// Where a path of the host is found.
    #[must_use]
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        self.path.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// At most `limit` bytes of a file.
    ///
    /// # Errors
    ///
    /// As the system reports them.
    pub fn bytes(&self, path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open(path)?.take(limit).read_to_end(&mut content)?;
        Ok(content)
    }

    /// What one `read` gives, at most `limit` bytes: for what may come to its end between two of them, as
    /// `/proc/<pid>/cmdline` does when the process does (`get_mm_cmdline()` in fs/proc/base.c fills the whole
    /// buffer while it holds the memory it reads).
    ///
    /// # Errors
    ///
    /// As the system reports them.
    pub fn at_once(&self, path: impl AsRef<Path>, limit: usize) -> io::Result<Vec<u8>> {
        one_read(self.open(path)?, limit)
    }

    /// At most `limit` bytes of a regular file that others may have put there: links are resolved as the host does,
    /// and lead nowhere outside of its root.
    ///
    /// # Errors
    ///
    /// As the system reports them; `InvalidInput` for what is no regular file, `FileTooLarge` for a longer one.
    pub fn bytes_within(&self, path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
        let file = self.open_resolved(path.as_ref(), READ, WITHIN)?;
        regular_length(&file, limit)?;
        let mut content = Vec::new();
        file.take(limit).read_to_end(&mut content)?;
        Ok(content)
    }

    /// The same as text.
    #[must_use]
    pub fn text_within(&self, path: impl AsRef<Path>, limit: u64) -> Option<String> {
        let content = self.bytes_within(path, limit).ok()?;
        Some(String::from_utf8_lossy(&content).into_owned())
    }

    pub(super) fn open_resolved(
        &self,
        path: &Path,
        flags: OFlags,
        resolve: ResolveFlags,
    ) -> io::Result<File> {
        let root = self.open_root()?;
        let flags = flags | OFlags::CLOEXEC;
        Ok(rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve)?.into())
    }

    fn open_root(&self) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
            .open(&self.path)
    }

    /// Metadata of what a path of the host leads to, links resolved as the host does; opens no device and no pipe.
    ///
    /// # Errors
    ///
    /// As the system reports them.
    pub fn metadata_within(&self, path: impl AsRef<Path>) -> io::Result<Metadata> {
        self.open_resolved(path.as_ref(), OFlags::PATH, WITHIN)?
            .metadata()
    }

    /// The same as [`Self::bytes_within`] and without waiting for a disk: only what the kernel has in memory. For files
    /// that may lie on a disk that hangs; whoever waits for that cannot be ended, and the agent could not exit.
    ///
    /// # Errors
    ///
    /// As the system reports them; `WouldBlock` for what is not in memory.
    pub fn cached_within(&self, path: impl AsRef<Path>, limit: u64) -> io::Result<Vec<u8>> {
        if self.waits {
            return self.bytes_within(path, limit);
        }
        let file = self.open_in_memory(path.as_ref(), READ)?;
        let length = regular_length(&file, limit)?;
        let mut content = vec![0; usize::try_from(length).unwrap_or(0)];
        let read = read_cached(&file, &mut content)?;
        content.truncate(read);
        Ok(content)
    }

    /// The same as [`Self::metadata_within`] and without waiting for a disk, with the path on the host that no link
    /// is left in.
    ///
    /// # Errors
    ///
    /// As the system reports them; `WouldBlock` for what is not in memory.
    pub fn cached_place_within(&self, path: impl AsRef<Path>) -> io::Result<Place> {
        let file = self.open_resolved(path.as_ref(), OFlags::PATH, self.resolve())?;
        let below = || {
            let path = path_of(&file)?;
            let root = path_of(&self.open_root().ok()?)?;
            let below = Path::new(&path).strip_prefix(root).ok()?;
            Some(Path::new("/").join(below).to_str()?.to_owned())
        };
        Ok(Place {
            path: below(),
            metadata: file.metadata()?,
        })
    }

    /// That nothing was read is written nowhere: it might wait for the filesystem's journal.
    pub(super) fn open_in_memory(&self, path: &Path, flags: OFlags) -> io::Result<File> {
        match self.open_resolved(path, flags | OFlags::NOATIME, self.resolve()) {
            // Another user's, without CAP_FOWNER.
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
                self.open_resolved(path, flags, self.resolve())
            }
            opened => opened,
        }
    }

    pub(super) const fn resolve(&self) -> ResolveFlags {
        if self.waits { WITHIN } else { IN_MEMORY }
    }

    /// Whether the kernel can open a file without waiting for a disk.
    #[must_use]
    pub fn can_read_cached(&self) -> bool {
        let opened = self.open_resolved(Path::new("/"), OFlags::PATH, IN_MEMORY);
        opened.map_or_else(|error| error.raw_os_error() != Some(libc::EINVAL), |_| true)
    }

    /// Opens a file; a named pipe or a terminal put in its place is not waited for.
    ///
    /// # Errors
    ///
    /// As the system reports them.
    pub fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(self.path(path))
    }

    /// At most `limit` bytes of a file as text.
    #[must_use]
    pub fn text(&self, path: impl AsRef<Path>, limit: u64) -> Option<String> {
        let content = self.bytes(path, limit).ok()?;
        Some(String::from_utf8_lossy(&content).into_owned())
    }

    /// A file of one value, trimmed; `None` also when it is empty.
    #[must_use]
    pub fn value(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = self.text(path, MAX_VALUE)?;
        let value = text.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// A file of one number.
    #[must_use]
    pub fn number<T: std::str::FromStr>(&self, path: impl AsRef<Path>) -> Option<T> {
        self.value(path)?.parse().ok()
    }

    /// Target of a symbolic link, as it stands.
    #[must_use]
    pub fn link(&self, path: impl AsRef<Path>) -> Option<String> {
        let target = self.path(path).read_link().ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    /// Last part of a symbolic link's target.
    #[must_use]
    pub fn link_name(&self, path: impl AsRef<Path>) -> Option<String> {
        let target = self.path(path).read_link().ok()?;
        target.file_name().map(lossy)
    }

    /// Names in a directory, sorted; none when it cannot be read.
    #[must_use]
    pub fn names(&self, directory: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = self.path(directory).read_dir() else {
            return Vec::new();
        };
        let entries = entries.take(MAX_ENTRIES).flatten();
        let mut names: Vec<_> = entries.map(|entry| lossy(&entry.file_name())).collect();
        names.sort_unstable();
        names
    }

    #[must_use]
    pub fn exists(&self, path: impl AsRef<Path>) -> bool {
        self.path(path).exists()
    }
}

/// Path of an open file, as this process's own `/proc` has it; nothing is looked up on a disk.
fn path_of(file: &File) -> Option<PathBuf> {
    Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd()))
        .read_link()
        .ok()
}

fn lossy(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

/// The length of a regular file that is not longer than that.
fn regular_length(file: &File, limit: u64) -> io::Result<u64> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    if metadata.len() > limit {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(metadata.len())
}

/// A filesystem that cannot read so (tmpfs of older kernels, overlayfs) is read as usual.
fn read_cached(file: &File, content: &mut [u8]) -> io::Result<usize> {
    let mut buffer = [IoSliceMut::new(content)];
    match rustix::io::preadv2(file, &mut buffer, 0, ReadWriteFlags::NOWAIT) {
        Ok(read) => Ok(read),
        Err(Errno::OPNOTSUPP) => file.read_at(content, 0),
        Err(errno) => Err(errno.into()),
    }
}

fn one_read(mut source: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut content = vec![0; limit];
    let length = loop {
        match source.read(&mut content) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result?,
        }
    };
    content.truncate(length);
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn joins_absolute_paths_below_the_root() {
        let root = HostRoot::new("/host");
        assert_eq!(root.path("/proc/1/stat"), Path::new("/host/proc/1/stat"));
        assert_eq!(root.path("proc/1/stat"), Path::new("/host/proc/1/stat"));
        assert!(!root.is_own());
        assert!(HostRoot::default().is_own());
        assert!(HostRoot::default().can_read_cached(), "5.12 or later");
    }

    #[test]
    fn reads_no_more_than_the_limit() {
        let fixture = Fixture::new();
        fixture.file("big", vec![b'x'; 100_000]);
        assert_eq!(fixture.root().bytes("big", 10).unwrap().len(), 10);
    }

    /// Ends after its first read, as what belongs to a process may.
    struct Mortal(Option<&'static [u8]>);

    impl Read for Mortal {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let content = self.0.take().unwrap_or_default();
            let length = content.len().min(to.len());
            to[..length].copy_from_slice(&content[..length]);
            Ok(length)
        }
    }

    #[test]
    fn what_ends_between_two_reads_is_read_whole_in_one() {
        const LONG: &[u8] = &[b'x'; 1000];
        assert_eq!(one_read(Mortal(Some(LONG)), 4096).unwrap(), LONG);
        assert_eq!(one_read(Mortal(Some(LONG)), 10).unwrap().len(), 10);
    }

    #[test]
    fn does_not_wait_for_the_writer_of_a_pipe() {
        let fixture = Fixture::new();
        let pipe = fixture.root().path("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(fixture.root().value("pipe"), None);
    }

    #[test]
    fn a_loop_of_links_is_only_not_there() {
        let fixture = Fixture::new();
        fixture.link("a", "b").link("b", "a");
        assert_eq!(fixture.root().value("a"), None);
        assert!(!fixture.root().exists("a"));
    }

    #[test]
    fn a_link_is_resolved_as_the_host_does() {
        let fixture = Fixture::new();
        fixture
            .file("data/value", "inside")
            .link("absolute", "/data/value")
            .link("climbing", "../../../../data/value")
            .link("outside", "/etc/hostname")
            .link("self", "self");
        let within = |path| fixture.root().text_within(path, 100);
        assert_eq!(within("absolute").as_deref(), Some("inside"));
        assert_eq!(within("climbing").as_deref(), Some("inside"));
        assert_eq!(within("outside"), None);
        assert_eq!(within("self"), None);
        assert_eq!(within("data"), None);
    }

    #[test]
    fn replaces_what_is_not_utf8() {
        let fixture = Fixture::new();
        fixture.file("name", b"a\xffb\n");
        assert_eq!(fixture.root().value("name").unwrap(), "a\u{fffd}b");
    }
}
