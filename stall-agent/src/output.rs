//! Documents to a file or stdout, so that nothing is lost.
//!
//! A file appears atomically, readable by its owner only, and never through a link that
//! someone put in its place. That it can be written is found out before the work, not after it; when
//! it then cannot after all, what took long to get is kept elsewhere, and the message says where. What
//! cannot be had again is written by a process of its own, with a deadline: its disk may be the one that hangs.

mod deadline;
mod document;
mod folder;
mod framing;
pub mod messages;
mod new_file;
mod writer;
mod writer_process;

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::failure::Failure;
use crate::file::reason;
pub use document::{Document, json};
pub use folder::Folder;
use new_file::{PROBE, Place};
use rustix::fs::FileType;
use writer::Writer;
pub use writer::errand;

/// Where a document is kept that cannot be written where it belongs: the first of them that is a filesystem in memory,
/// since a disk may be what fails. Not `$TMPDIR`: the environment does not choose where root writes.
const SHELTERS: [&str; 3] = ["/run", "/dev/shm", "/tmp"];
/// What is in memory: tmpfs and ramfs (include/uapi/linux/magic.h).
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];
/// To write a document, from its first byte until it has its place.
const WRITTEN_WITHIN: Duration = Duration::from_secs(30);
/// The same once a disk did not take one in time: the next may be its, too, and somebody waits.
const WRITTEN_SOON: Duration = Duration::from_secs(5);
/// Whether a disk did not.
static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Where a document goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    Stdout,
    File(PathBuf),
    /// A file in memory, called after the host and the time.
    InMemory {
        extension: &'static str,
    },
}

impl Destination {
    /// `-` is stdout.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        if path == Path::new("-") {
            Self::Stdout
        } else {
            Self::File(path)
        }
    }

    /// The file, where it has a name already.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Stdout | Self::InMemory { .. } => None,
        }
    }
}

/// Which document, for messages.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// `the report`
    pub what: &'static str,
    /// The option that says where it goes.
    pub option: &'static str,
    /// It cannot be made again: a disk that hangs must not cost it, and it is kept when it cannot be written.
    pub keep: bool,
}

/// A destination found writable.
#[derive(Debug)]
pub struct Output {
    destination: Destination,
    way: Way,
    kind: Kind,
}

/// How a document gets there.
#[derive(Debug)]
enum Way {
    Stdout,
    Place(Place),
    Writer(Writer),
}

impl Output {
    /// Makes sure that the destination can be written, and leaves nothing there. What is to be kept gets a process that
    /// writes it, so this comes before there is any other thread.
    ///
    /// # Errors
    ///
    /// [`Failure::OutputUnwritable`].
    pub fn prepare(destination: Destination, kind: Kind) -> Result<Self, Failure> {
        if let Destination::InMemory { extension } = destination {
            return Self::prepare_in_memory(extension, kind);
        }
        let way = match (destination.file(), kind.keep) {
            (None, true) if is_file(io::stdout().as_fd()) => Writer::of_stdout().map(Way::Writer),
            (None, _) => Ok(Way::Stdout),
            (Some(path), true) => Writer::of_file(path).map(Way::Writer),
            (Some(path), false) => probe(path).map(Way::Place),
        };
        let unwritable = |error| Failure::OutputUnwritable {
            option: kind.option,
            path: destination.file().unwrap_or(Path::new("stdout")).to_owned(),
            reason: reason(&error),
        };
        Ok(Self {
            way: way.map_err(unwritable)?,
            destination,
            kind,
        })
    }

    fn prepare_in_memory(extension: &str, kind: Kind) -> Result<Self, Failure> {
        let name = name(extension);
        let mut failure = None;
        for shelter in shelters() {
            match Self::prepare(Destination::File(shelter.join(&name)), kind) {
                Ok(output) => return Ok(output),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| Failure::OutputUnwritable {
            option: kind.option,
            path: Path::new(SHELTERS[0]).join(&name),
            reason: format!("neither {} is in memory", SHELTERS.join(" nor ")),
        }))
    }

    /// Writes the document, or keeps it elsewhere. Called once.
    ///
    /// # Errors
    ///
    /// [`Failure::OutputLost`] when it is not where it belongs, also when it was kept elsewhere.
    pub fn write(&self, document: &impl Document) -> Result<(), Failure> {
        let written = match &self.way {
            Way::Stdout => match to_stdout(document) {
                // Whoever read it has read enough, as `head` does.
                Err(error) if error.kind() == ErrorKind::BrokenPipe && !self.kind.keep => Ok(()),
                written => written,
            },
            Way::Place(place) => place.write(|file| fill(file, document)),
            Way::Writer(writer) => writer.write(document, patience()),
        };
        written.map_err(|error| {
            GIVEN_UP.fetch_or(error.kind() == ErrorKind::TimedOut, Ordering::Relaxed);
            self.lost(&error, document)
        })
    }

    /// The file that is written, unless it is stdout.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.destination.file()
    }

    fn lost(&self, error: &io::Error, document: &impl Document) -> Failure {
        let target = self.file().map(|path| path.display().to_string());
        Failure::OutputLost {
            what: self.kind.what,
            target: target.unwrap_or_else(|| "stdout".to_owned()),
            reason: reason(error),
            outcome: self.outcome(document),
        }
    }

    fn outcome(&self, document: &impl Document) -> String {
        if !self.kind.keep {
            return "run the command again with another output".to_owned();
        }
        match keep(document) {
            Some(path) => format!("it is kept in {}", path.display()),
            None => format!(
                "nor to memory ({} are not filesystems in memory): it is lost",
                SHELTERS.join(", ")
            ),
        }
    }
}

/// Keeps a document where it was not asked for; says where.
pub fn keep(document: &impl Document) -> Option<PathBuf> {
    shelters().find_map(|place| shelter(place, document))
}

fn shelters() -> impl Iterator<Item = &'static Path> {
    let shelters = SHELTERS.iter().map(Path::new);
    shelters.filter(|place| is_in_memory(place))
}

/// `stall-node-2-20261130T153024Z.json`
fn name(extension: &str) -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy().into_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    let host: String = host.chars().filter(|c| plain(*c)).take(64).collect();
    let time = humantime::format_rfc3339_seconds(SystemTime::now());
    let time = time.to_string().replace(['-', ':'], "");
    format!("stall-{host}-{time}.{extension}")
}

/// The place of a file, at which one can be written.
fn probe(path: &Path) -> io::Result<Place> {
    let place = Place::find(path)?;
    place.try_out(|file| file.write_all(&PROBE))?;
    Ok(place)
}

fn patience() -> Duration {
    if GIVEN_UP.load(Ordering::Relaxed) {
        WRITTEN_SOON
    } else {
        WRITTEN_WITHIN
    }
}

/// Of a file it is the disk that is waited for; of anything else, whoever reads it, for as long as that takes.
fn is_file(descriptor: BorrowedFd<'_>) -> bool {
    let stat = rustix::fs::fstat(descriptor);
    stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

/// Whether a directory lies in memory, on no disk.
#[must_use]
pub fn is_in_memory(directory: &Path) -> bool {
    let stat = rustix::fs::statfs(directory);
    stat.is_ok_and(|stat| IN_MEMORY.contains(&(stat.f_type as u64)))
}

fn to_stdout(document: &impl Document) -> io::Result<()> {
    let mut stdout = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    document(&mut stdout)?;
    stdout.flush()
}

/// Only the file is synced, not its directory: after a crash there is the old one or the new one.
fn fill(file: &mut File, document: &impl Document) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 16, &mut *file);
    document(&mut writer)?;
    writer.flush()?;
    drop(writer);
    file.sync_all()
}

fn shelter(directory: &Path, document: &impl Document) -> Option<PathBuf> {
    let path = directory.join(format!("stall-agent-{:016x}.json", new_file::random()));
    let place = Place::find(&path).ok()?;
    place.write(|file| fill(file, document)).ok()?;
    Some(path)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const REPORT: Kind = Kind {
        what: "the report",
        option: "output",
        keep: false,
    };

    fn hello(writer: &mut dyn Write) -> io::Result<()> {
        writer.write_all(b"hello")
    }

    fn refusal(path: impl Into<PathBuf>) -> String {
        let output = Output::prepare(Destination::File(path.into()), REPORT);
        output.unwrap_err().to_string()
    }

    #[test]
    fn leaves_nothing_before_and_one_private_file_after() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stall.json");
        let output = Output::prepare(Destination::File(path.clone()), REPORT).unwrap();
        assert_eq!(directory.path().read_dir().unwrap().count(), 0);
        output.write(&hello).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_failed_writing_leaves_the_old_file_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stall.json");
        fs::write(&path, "old").unwrap();
        let output = Output::prepare(Destination::File(path.clone()), REPORT).unwrap();
        let failing = |writer: &mut dyn Write| {
            writer.write_all(b"half")?;
            Err(io::Error::from_raw_os_error(libc::ENOSPC))
        };
        let failure = output.write(&failing).unwrap_err();
        assert!(matches!(failure, Failure::OutputLost { .. }));
        assert!(failure.to_string().contains("(No space left on device)"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(directory.path().read_dir().unwrap().count(), 1);
    }

    #[test]
    fn refuses_what_is_not_a_plain_file() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        symlink("/etc/passwd", &link).unwrap();
        assert!(refusal(&link).contains("it is a symbolic link"));
        assert!(refusal(directory.path()).contains("it is a directory"));
        assert!(refusal("/dev/null").contains("not a regular file"));
        assert!(refusal("/dev/stdout").contains("it is a symbolic link"));
    }

    #[test]
    fn says_why_a_path_cannot_be_written() {
        let refusal = refusal("/no/such/directory/stall.json");
        assert_eq!(
            refusal,
            "/no/such/directory/stall.json cannot be written (No such file or directory): give another --output"
        );
        for path in ["", "/", "..", "new/"] {
            assert!(
                Output::prepare(Destination::File(path.into()), REPORT).is_err(),
                "{path}"
            );
        }
        let long = format!("/tmp/{}", "x".repeat(300));
        assert!(probe(Path::new(&long)).is_err());
    }

    #[test]
    fn a_long_name_is_written_like_any_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x".repeat(255));
        let output = Output::prepare(Destination::File(path.clone()), REPORT).unwrap();
        output.write(&hello).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello");
    }

    #[test]
    fn a_link_planted_meanwhile_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        let path = directory.path().join("stall.json");
        fs::write(&victim, "precious").unwrap();
        let output = Output::prepare(Destination::File(path.clone()), REPORT).unwrap();
        symlink(&victim, &path).unwrap();
        assert!(output.write(&hello).is_err());
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
    }

    #[test]
    fn keeps_a_document_under_a_name_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = shelter(directory.path(), &hello).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        assert_eq!(shelter(Path::new("/no/such"), &hello), None);
    }

    #[test]
    fn a_file_in_memory_has_a_name_of_its_own() {
        let destination = Destination::InMemory { extension: "json" };
        let output = Output::prepare(destination, REPORT).unwrap();
        output.write(&hello).unwrap();
        let path = output.file().expect("it has its name now").to_owned();
        let content = fs::read(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(content.unwrap(), b"hello");
        assert!(is_in_memory(path.parent().unwrap()));
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(
            name.starts_with("stall-") && name.ends_with("Z.json"),
            "{name}"
        );
    }

    #[test]
    fn what_is_on_a_disk_is_not_in_memory() {
        assert!(is_in_memory(Path::new("/dev/shm")));
        for other in ["/proc", "/sys", "/no/such"] {
            assert!(!is_in_memory(Path::new(other)), "{other}");
        }
    }

    #[test]
    fn json_ends_in_a_line_feed() {
        let mut text = Vec::new();
        json(&[1, 2], false)(&mut text).unwrap();
        assert_eq!(text, b"[1,2]\n");
    }
}
