//! What is mounted, by device: `/proc/self/mountinfo`, or that of the host's first process.

use std::collections::HashMap;
use std::path::Path;

use super::{HostRoot, namespace};
use stall_capture::Mount;

/// A Kubernetes node has thousands of lines of up to a few KiB (overlays).
const MAX_TEXT: u64 = 32 << 20;
/// Mounts kept of one device; a volume may be bind-mounted once per pod.
const MAX_PER_DEVICE: usize = 64;

/// Filesystems that pool devices and whose source is one of them.
const POOLING: [&str; 2] = ["btrfs", "bcachefs"];

/// All mounts of one mount namespace.
#[derive(Clone, Debug, Default)]
pub struct Mounts {
    entries: Vec<Entry>,
}

/// One line of mountinfo (proc_pid_mountinfo(5)).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub id: u64,
    pub major: u32,
    pub minor: u32,
    pub mount: Mount,
}

impl Mounts {
    /// The mounts as the host sees them: in another mount namespace than the host's first process those of that
    /// one, where it shows them, else those of this process.
    #[must_use]
    pub fn of_host(root: &HostRoot) -> Self {
        let files = tables(root.is_own(), namespace::has_mounts_of_first(root));
        let text = files.iter().find_map(|file| root.text(file, MAX_TEXT));
        Self::parse(&text.unwrap_or_default()).with_pooled_devices(root)
    }

    /// The mounts that a process sees; none when it has gone.
    #[must_use]
    pub fn of_process(root: &HostRoot, pid: u32) -> Self {
        let text = root.text(format!("proc/{pid}/mountinfo"), MAX_TEXT);
        Self::parse(&text.unwrap_or_default())
    }

    /// The mounts by which this process resolves a path.
    #[must_use]
    pub fn of_self() -> Self {
        let text = HostRoot::default().text("proc/self/mountinfo", MAX_TEXT);
        Self::parse(&text.unwrap_or_default())
    }

    /// Lines that make no sense are left out.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let entries = text.lines().filter_map(parse_line).collect();
        Self { entries }
    }

    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Mounts of one device, those of the whole filesystem first; at most 64.
    #[must_use]
    pub fn of(&self, major: u32, minor: u32) -> Vec<Mount> {
        let mut mounts: Vec<_> = self
            .entries
            .iter()
            .filter(|entry| (entry.major, entry.minor) == (major, minor))
            .map(|entry| &entry.mount)
            .collect();
        mounts.sort_by_key(|mount| (mount.root != "/", mount.mount_point.len()));
        mounts.truncate(MAX_PER_DEVICE);
        mounts.into_iter().cloned().collect()
    }

    /// Device number of the filesystem that has a file of this absolute path, by the mount points alone: the file, on
    /// a disk that hangs perhaps, is not touched. A link in the path is not seen.
    #[must_use]
    pub fn device_of(&self, file: &str) -> Option<(u32, u32)> {
        let above = |entry: &&Entry| Path::new(file).starts_with(&entry.mount.mount_point);
        // The last of equally long ones lies on top.
        let nearest = self.entries.iter().filter(above);
        let nearest = nearest.max_by_key(|entry| entry.mount.mount_point.len())?;
        Some((nearest.major, nearest.minor))
    }

    /// Of a filesystem that writes to another one (overlay), the device of that.
    #[must_use]
    pub fn below(&self, major: u32, minor: u32) -> Option<(u32, u32)> {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| {
            (entry.major, entry.minor) == (major, minor) && entry.mount.filesystem == "overlay"
        })?;
        let mut options = entry.mount.super_options.split(',');
        let upper = options.find_map(|option| option.strip_prefix("upperdir="))?;
        self.device_of(upper)
    }

    /// btrfs and others that pool devices mount under an anonymous device number: their lines get
    /// that of the block device named as their source. Others, FUSE for one, let whoever mounts them name any source.
    fn with_pooled_devices(mut self, root: &HostRoot) -> Self {
        let mut known = HashMap::new();
        for entry in &mut self.entries {
            let source = &entry.mount.source;
            let pools = POOLING.contains(&entry.mount.filesystem.as_str());
            if entry.major != 0 || !pools || !source.starts_with("/dev/") {
                continue;
            }
            let number = *known
                .entry(source.clone())
                .or_insert_with(|| super::device_number::number_of_node(root, Path::new(source)));
            if let Some((major, minor)) = number {
                (entry.major, entry.minor) = (major, minor);
            }
        }
        self
    }
}

/// Which tables tell the host's mounts, the best first. After `chroot /host` in a container the root is the process's
/// own and the mount namespace is not.
fn tables(own_root: bool, own_mounts: Option<bool>) -> &'static [&'static str] {
    const OWN: &str = "proc/self/mountinfo";
    const FIRST: &str = "proc/1/mountinfo";
    if own_root && own_mounts != Some(false) {
        &[OWN]
    } else {
        &[FIRST, OWN]
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`; the optional
/// fields before the dash vary in number.
fn parse_line(line: &str) -> Option<Entry> {
    let mut fields = line.split(' ');
    let id = fields.next()?.parse().ok()?;
    let _parent = fields.next()?;
    let (major, minor) = fields.next()?.split_once(':')?;
    let root = unescape(fields.next()?);
    let mount_point = unescape(fields.next()?);
    let options = fields.next()?.to_owned();
    fields.find(|field| *field == "-")?;
    let filesystem = unescape(fields.next()?);
    let source = unescape(fields.next()?);
    let super_options = unescape(fields.next().unwrap_or_default());
    let mount = Mount {
        mount_point,
        root,
        filesystem,
        source,
        options,
        super_options,
    };
    Some(Entry {
        id,
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
        mount,
    })
}

/// The kernel writes space, tab, line feed and backslash as `\` and three octal digits
/// (`seq_path`, `mangle`).
pub(super) fn unescape(field: &str) -> String {
    let bytes = field.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = bytes.get(at + 1..at + 4).and_then(octal);
        match escaped.filter(|_| bytes[at] == b'\\') {
            Some(byte) => {
                plain.push(byte);
                at += 4;
            }
            None => {
                plain.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn octal(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
    u8::from_str_radix(digits, 8).ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::Fixture;
    use super::*;

    const NODE: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 7:0 / / ro,relatime shared:1 - ext2 /dev/loop0 ro
61 27 259:6 / /var/lib/harvester/defaultdisk rw,relatime shared:31 master:2 - ext4 /dev/nvme0n1p6 rw,stripe=32
62 27 259:6 /replicas /mnt/a\\040b\\134c rw,noatime - ext4 /dev/nvme0n1p6 rw,stripe=32
63 27 0:50 /sub /data rw - btrfs /dev/vdb1 rw,discard=async
";

    #[test]
    fn a_file_is_on_the_nearest_mount() {
        let mounts = Mounts::parse(NODE);
        let at = |file| mounts.device_of(file);
        assert_eq!(at("/var/lib/harvester/defaultdisk/a.img"), Some((259, 6)));
        assert_eq!(at("/var/lib/harvester/defaultdisks"), Some((7, 0)));
        assert_eq!(at("/data/x"), Some((0, 50)));
        assert_eq!(Mounts::default().device_of("/data/x"), None);
    }

    #[test]
    fn in_a_container_the_first_process_tells_the_hosts_mounts() {
        let own = &["proc/self/mountinfo"][..];
        assert_eq!(tables(true, Some(true)), own);
        assert_eq!(tables(true, None), own);
        let first = &["proc/1/mountinfo", "proc/self/mountinfo"][..];
        for (root, mounts) in [(true, Some(false)), (false, Some(false)), (false, None)] {
            assert_eq!(tables(root, mounts), first, "{root} {mounts:?}");
        }
    }

    #[test]
    fn gives_the_mounts_of_a_device_whole_filesystem_first() {
        let mounts = Mounts::parse(NODE).of(259, 6);
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[0].mount_point, "/var/lib/harvester/defaultdisk");
        assert_eq!(mounts[0].filesystem, "ext4");
        assert_eq!(mounts[0].super_options, "rw,stripe=32");
        assert_eq!(mounts[1].mount_point, "/mnt/a b\\c");
        assert_eq!(mounts[1].root, "/replicas");
    }

    #[test]
    fn optional_fields_may_be_absent_or_many() {
        let entries = Mounts::parse(NODE);
        let ids: Vec<_> = entries.entries().iter().map(|entry| entry.id).collect();
        assert_eq!(ids, [22, 27, 61, 62, 63]);
    }

    #[test]
    fn finds_the_device_of_a_pool_by_its_source() {
        let fixture = Fixture::new();
        fixture
            .file("proc/1/mountinfo", NODE)
            .file("sys/class/block/vdb1/dev", "254:17\n");
        let mounts = Mounts::of_host(&fixture.root());
        assert_eq!(mounts.of(254, 17)[0].mount_point, "/data");
    }

    #[test]
    fn a_source_that_anybody_may_name_is_not_believed() {
        let fixture = Fixture::new();
        let fuse = "63 27 0:50 / /home/a/x rw - fuse.x /dev/vdb1 rw,user_id=1000\n";
        fixture
            .file("proc/1/mountinfo", fuse)
            .file("sys/class/block/vdb1/dev", "254:17\n");
        assert!(Mounts::of_host(&fixture.root()).of(254, 17).is_empty());
    }

    #[test]
    fn leaves_out_lines_that_make_no_sense() {
        for line in [
            "",
            "x",
            "1 2 3 4 5 6 - 7",
            "1 2 8:0 / /a rw shared:1",
            "1 2 a:b / /a rw - e s o",
        ] {
            assert!(Mounts::parse(line).entries().is_empty(), "{line}");
        }
    }

    #[test]
    fn undoes_only_whole_escapes() {
        assert_eq!(unescape("\\040"), " ");
        assert_eq!(unescape("\\04"), "\\04");
        assert_eq!(unescape("\\999"), "\\999");
        assert_eq!(unescape("\\+40"), "\\+40");
        assert_eq!(unescape("a\\"), "a\\");
        assert_eq!(unescape("\\303\\244"), "ä");
    }

    #[test]
    fn keeps_a_bounded_number_of_one_device() {
        let text: String = (0..500)
            .map(|n| format!("{n} 1 8:1 /v{n} /pods/{n} rw - ext4 /dev/sda1 rw\n"))
            .collect();
        let text = format!("{text}900 1 8:1 / /data rw - ext4 /dev/sda1 rw\n");
        let mounts = Mounts::parse(&text).of(8, 1);
        assert_eq!(mounts.len(), 64);
        assert_eq!(mounts[0].mount_point, "/data");
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(text in "([0-9]{1,3}[ :\\\\/-]?){0,20}|.{0,200}") {
            let _ = Mounts::parse(&text);
        }

        #[test]
        fn a_mount_point_comes_back_as_it_was(path in "[^\0]{1,40}") {
            let escaped: String = path
                .bytes()
                .map(|byte| match byte {
                    b' ' | b'\t' | b'\n' | b'\\' | 0x80.. => format!("\\{byte:03o}"),
                    plain => char::from(plain).to_string(),
                })
                .collect();
            prop_assert_eq!(unescape(&escaped), path);
        }
    }
}
