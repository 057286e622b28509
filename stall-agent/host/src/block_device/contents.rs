//! What is on a disk or partition, without opening it: the filesystem and label that udev found, or a link in
//! `/dev/disk/by-label`.

use super::HostRoot;
use crate::mounts::Mounts;
use stall_capture::Contents;

/// A database entry of udev has a few KiB.
const MAX_ENTRY: u64 = 64 << 10;

/// Type and label of what a block device holds; without udev the type is that of its mount.
pub(super) fn contents(
    root: &HostRoot,
    name: &str,
    number: Option<(u32, u32)>,
    mounts: &Mounts,
) -> Contents {
    let found = number.map(|(major, minor)| {
        let entry = root.text_within(format!("run/udev/data/b{major}:{minor}"), MAX_ENTRY);
        let mut contents = of_entry(&entry.unwrap_or_default());
        let mounted = || Some(mounts.of(major, minor).first()?.filesystem.clone());
        contents.filesystem = contents.filesystem.or_else(mounted);
        contents
    });
    let mut contents = found.unwrap_or_default();
    contents.label = contents.label.or_else(|| linked_label(root, name));
    contents
}

fn of_entry(text: &str) -> Contents {
    let property = |key: &str| {
        let mut lines = text
            .lines()
            .filter_map(|line| line.strip_prefix("E:")?.split_once('='));
        let (_, value) = lines.find(|(name, _)| *name == key)?;
        (!value.is_empty()).then(|| decode(value))
    };
    Contents {
        filesystem: property("ID_FS_TYPE"),
        label: property("ID_FS_LABEL_ENC").or_else(|| property("ID_FS_LABEL")),
    }
}

fn linked_label(root: &HostRoot, name: &str) -> Option<String> {
    const LABELS: &str = "dev/disk/by-label";
    let mut labels = root.names(LABELS).into_iter();
    let label = labels
        .find(|label| root.link_name(format!("{LABELS}/{label}")).as_deref() == Some(name))?;
    Some(decode(&label))
}

/// udev writes what is not plain as `\x` and two hexadecimal digits.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes[at..]
            .strip_prefix(b"\\x")
            .and_then(|rest| rest.get(..2));
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        plain.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 4 } else { 1 };
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn udev_tells_type_and_label() {
        let fixture = Fixture::new();
        fixture.file(
            "run/udev/data/b259:6",
            "S:disk/by-label/x\nE:ID_FS_TYPE=ext4\nE:ID_FS_LABEL=HARV_LH_DEFAULT\nE:ID_FS_LABEL_ENC=HARV\\x20LH\n",
        );
        let found = contents(
            &fixture.root(),
            "nvme0n1p6",
            Some((259, 6)),
            &Mounts::default(),
        );
        assert_eq!(found.filesystem.as_deref(), Some("ext4"));
        assert_eq!(found.label.as_deref(), Some("HARV LH"));
    }

    #[test]
    fn without_udev_mounts_and_links_do() {
        let fixture = Fixture::new();
        fixture.link("dev/disk/by-label/COS_OEM", "../../sda2");
        let mounts = Mounts::parse("1 2 8:2 / /oem rw - ext4 /dev/sda2 rw\n");
        let found = contents(&fixture.root(), "sda2", Some((8, 2)), &mounts);
        assert_eq!(found.filesystem.as_deref(), Some("ext4"));
        assert_eq!(found.label.as_deref(), Some("COS_OEM"));
    }

    proptest! {
        #[test]
        fn any_entry_is_read(text in "(E:ID_FS_[A-Z]*=(\\\\x[0-9a-z]{0,3}|.{0,9})\n|.{0,40})*") {
            let _ = of_entry(&text);
        }
    }
}
