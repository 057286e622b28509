//! Files of the host's own that may lie on a disk that hangs: what of them is in memory, where the kernel can tell (5.12); else, and
//! of a root that is [`HostRoot::waiting`], what is there.

use std::fs::{File, Metadata};
use std::io;
use std::path::Path;

use rustix::fs::{Dir, OFlags};

use super::HostRoot;
use super::root::{MAX_ENTRIES, READ};

impl HostRoot {
    /// At most `limit` bytes of a regular file as text.
    #[must_use]
    pub fn cached_text(&self, path: impl AsRef<Path>, limit: u64) -> Option<String> {
        let content = self.able().cached_within(path, limit).ok()?;
        Some(String::from_utf8_lossy(&content).into_owned())
    }

    /// Names in a directory, sorted.
    #[must_use]
    pub fn cached_names(&self, directory: impl AsRef<Path>) -> Vec<String> {
        let flags = READ | OFlags::DIRECTORY;
        let opened = self.able().open_in_memory(directory.as_ref(), flags);
        let Some(entries) = opened.ok().and_then(|file| Dir::new(file).ok()) else {
            return Vec::new();
        };
        let names = entries.take(MAX_ENTRIES).flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names.filter(|name| name != "." && name != "..").collect();
        names.sort_unstable();
        names
    }

    /// Of what a path leads to.
    #[must_use]
    pub fn cached_metadata(&self, path: impl AsRef<Path>) -> Option<Metadata> {
        let place = self.able().cached_place_within(path).ok()?;
        Some(place.metadata)
    }

    /// Whether there is something, a link that leads nowhere too.
    #[must_use]
    pub fn cached_is_there(&self, path: impl AsRef<Path>) -> bool {
        self.itself(path.as_ref()).is_ok()
    }

    /// Target of a symbolic link, as it stands.
    #[must_use]
    pub fn cached_link(&self, path: impl AsRef<Path>) -> Option<String> {
        let link = self.itself(path.as_ref()).ok()?;
        let target = rustix::fs::readlinkat(&link, c"", Vec::new()).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    /// Without following a link.
    fn itself(&self, path: &Path) -> io::Result<File> {
        let able = self.able();
        able.open_resolved(path, OFlags::PATH | OFlags::NOFOLLOW, able.resolve())
    }

    fn able(&self) -> Self {
        if self.can_read_cached() {
            self.clone()
        } else {
            self.waiting()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;

    #[test]
    fn what_is_in_memory_is_read_as_it_is() {
        let fixture = Fixture::new();
        fixture
            .file("units/b.timer", "inside")
            .file("units/a.timer", "")
            .link("masked", "/dev/null");
        let root = fixture.root();
        for root in [root.waiting(), root] {
            assert_eq!(root.cached_names("units"), ["a.timer", "b.timer"]);
            assert_eq!(root.cached_text("units/b.timer", 100).unwrap(), "inside");
            assert_eq!(root.cached_link("masked").unwrap(), "/dev/null");
            assert!(root.cached_is_there("masked") && !root.cached_is_there("not"));
            assert_eq!(root.cached_metadata("units/b.timer").unwrap().len(), 6);
            assert!(root.cached_names("nowhere").is_empty());
        }
    }
}
