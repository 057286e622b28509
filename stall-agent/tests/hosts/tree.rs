//! Trees of a host, one text file each, unpacked into a temporary directory: git keeps no pipes, device nodes, odd
//! bytes or times. The format is told in `tests/fixtures/hosts/README.md`; what does not keep to it ends the test.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};

/// Nodes as a process calls them, one folder per process: links in its `fd` lead here.
const NODES: &str = ".nodes";

/// An unpacked tree; gone when dropped.
pub(crate) struct Tree {
    directory: tempfile::TempDir,
    at: String,
    values: BTreeMap<String, String>,
}

/// Where trees are kept.
#[must_use]
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/hosts")
}

impl Tree {
    /// Unpacks `<name>.tree`.
    #[must_use]
    pub(crate) fn unpack(name: &str) -> Self {
        let mut tree = Self {
            directory: tempfile::tempdir().expect("there is room for a tree"),
            at: String::new(),
            values: BTreeMap::new(),
        };
        tree.add(name);
        tree
    }

    #[must_use]
    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    /// A text in which paths of the temporary directory are those of the host, and of the process.
    #[must_use]
    pub(crate) fn as_on_the_host(&self, text: &str) -> String {
        let root = self.root().display().to_string();
        let Some(rest) = text.strip_prefix(&root) else {
            return text.to_owned();
        };
        let node = rest.strip_prefix(&format!("/{NODES}/"));
        let name = node.and_then(|node| node.find('/').map(|at| &node[at..]));
        name.unwrap_or(rest).to_owned()
    }

    fn add(&mut self, name: &str) {
        let path = folder().join(format!("{name}.tree"));
        let text =
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        self.at.clear();
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            let mut content = Vec::new();
            while let Some((_, more)) = lines.next_if(|(_, next)| next.starts_with('|')) {
                content.push(bytes(&self.with_values(&more[1..])));
            }
            let line = self.with_values(line);
            self.entry(line.trim(), &content)
                .unwrap_or_else(|error| panic!("{name}.tree:{}: {error}: {line}", number + 1));
        }
    }

    /// `${name}` is the value set before.
    fn with_values(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for (name, value) in &self.values {
            line = line.replace(&format!("${{{name}}}"), value);
        }
        line
    }

    fn entry(&mut self, line: &str, content: &[Vec<u8>]) -> io::Result<()> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match first {
            "include" => self.add(rest),
            "at" => rest.trim_matches('/').clone_into(&mut self.at),
            "set" => {
                let (name, value) = rest.split_once(' ').ok_or(io::ErrorKind::InvalidInput)?;
                self.values.insert(name.to_owned(), value.to_owned());
            }
            path => {
                let (kind, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                return self.make(path, kind, rest, content);
            }
        }
        Ok(())
    }

    fn make(&self, path: &str, kind: &str, rest: &str, content: &[Vec<u8>]) -> io::Result<()> {
        let place = self.place(path)?;
        match kind {
            "=" => write(&place, &[&bytes(rest), b"\n".as_slice()].concat()),
            ":" => write(&place, &joined(content, b"\n")),
            "args" => write(&place, &joined(content, b"\0")),
            "->" => {
                remove(&place)?;
                symlink(OsStr::from_bytes(&bytes(rest)), place)
            }
            "node" => node(&place, rest),
            "open" => self.open(path, &place, rest),
            "process" => process(&place, path, rest),
            "sparse" => File::create(place)?.set_len(number(rest)?),
            "fifo" => Ok(nix::unistd::mkfifo(&place, Mode::S_IRWXU)?),
            "dir" => fs::create_dir_all(place),
            "time" => {
                File::open(place)?.set_modified(UNIX_EPOCH + Duration::from_secs(number(rest)?))
            }
            "gone" => remove(&place),
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// An open file of a process: `NAME MAJOR:MINOR`.
    fn open(&self, path: &str, link: &Path, rest: &str) -> io::Result<()> {
        let (name, device) = rest.split_once(' ').ok_or(io::ErrorKind::InvalidInput)?;
        let mut parts = self.at.split('/').chain(path.split('/'));
        let process = parts.find(|part| part.parse::<u32>().is_ok());
        let process = process.ok_or(io::ErrorKind::InvalidInput)?;
        let target = self
            .root()
            .join(NODES)
            .join(process)
            .join(name.trim_start_matches('/'));
        fs::create_dir_all(target.parent().expect("it is below the root"))?;
        node(&target, device)?;
        remove(link)?;
        symlink(target, link)
    }

    fn place(&self, path: &str) -> io::Result<PathBuf> {
        let below = [self.at.as_bytes(), &bytes(path)].join(&b'/');
        let mut place = self.root().as_os_str().as_bytes().to_vec();
        place.push(b'/');
        place.extend(below);
        let place = PathBuf::from(OsStr::from_bytes(&place));
        fs::create_dir_all(place.parent().expect("it is below the root"))?;
        Ok(place)
    }
}

/// Whether block device nodes can be made here.
#[must_use]
pub(crate) fn can_make_nodes() -> bool {
    let directory = tempfile::tempdir().expect("there is room for a node");
    node(&directory.path().join("node"), "8:48").is_ok()
}

fn node(place: &Path, device: &str) -> io::Result<()> {
    let (major, minor) = device.split_once(':').ok_or(io::ErrorKind::InvalidInput)?;
    remove(place)?;
    let device = makedev(number(major)?, number(minor)?);
    Ok(mknod(place, SFlag::S_IFBLK, Mode::S_IRUSR, device)?)
}

/// `stat` and `comm` of `proc/<pid>`: `PARENT START-TICKS FLAGS NAME`.
fn process(place: &Path, path: &str, rest: &str) -> io::Result<()> {
    let mut parts = rest.splitn(4, ' ');
    let mut part = || parts.next().ok_or(io::ErrorKind::InvalidInput);
    let (parent, start, flags, comm) = (part()?, part()?, part()?, bytes(part()?));
    let pid = path.rsplit('/').next().unwrap_or_default();
    let head = format!("{pid} (").into_bytes();
    let tail = format!(
        ") S {parent} {pid} {pid} 0 -1 {flags} 0 0 0 0 1 1 0 0 20 0 1 0 {start} 4096 1 18446744073709551615\n"
    );
    fs::create_dir_all(place)?;
    write(
        &place.join("stat"),
        &[head, comm.clone(), tail.into_bytes()].concat(),
    )?;
    write(&place.join("comm"), &[&comm, b"\n".as_slice()].concat())
}

fn write(place: &Path, content: &[u8]) -> io::Result<()> {
    remove(place)?;
    fs::write(place, content)
}

fn remove(place: &Path) -> io::Result<()> {
    match place.symlink_metadata() {
        Ok(there) if there.is_dir() => fs::remove_dir_all(place),
        Ok(_) => fs::remove_file(place),
        Err(_) => Ok(()),
    }
}

fn number(text: &str) -> io::Result<u64> {
    text.parse::<u64>()
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))
}

/// Each line with its end.
fn joined(lines: &[Vec<u8>], end: &[u8]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|line| [line.as_slice(), end].concat())
        .collect()
}

/// Undoes `\n`, `\\` and `\xHH`.
fn bytes(text: &str) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let (byte, length) = match (first, tail) {
            (b'\\', [b'n', ..]) => (b'\n', 2),
            (b'\\', [b'\\', ..]) => (b'\\', 2),
            (b'\\', [b'x', high, low, ..]) => {
                let digits = [*high, *low].map(char::from).iter().collect::<String>();
                let byte = u8::from_str_radix(&digits, 16).expect("two hexadecimal digits");
                (byte, 4)
            }
            (plain, _) => (*plain, 1),
        };
        plain.push(byte);
        rest = &rest[length..];
    }
    plain
}
