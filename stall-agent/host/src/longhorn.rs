//! Longhorn on this host: volumes by device number, and what a replica's directory says.
//!
//! `/dev/longhorn/<volume>` is a node with the number of the volume's own disk, there while the volume is attached
//! (`go-iscsi-helper/longhorndev`). A replica keeps `volume.meta` (JSON) beside its data
//! (`longhorn-engine/pkg/replica`). Only metadata is read: no device is opened, no data touched.
//!
//! The disk below a replica follows from the host's mount table: in a container, which may not have the host's newer
//! mounts, the directory itself would tell the disk of the filesystem below the mount point.

use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use serde_json::Value;

use super::HostRoot;
use super::device_number::split_number;
use super::mounts::Mounts;
use stall_capture::{ReplicaDirectory, Volume, VolumeMeta};

/// `volume.meta` has some 200 bytes.
const MAX_META: u64 = 64 << 10;
const MAX_TEXT: usize = 256;

/// The volumes attached here, by their nodes.
#[must_use]
pub fn volumes(root: &HostRoot) -> Vec<Volume> {
    let names = root.names("dev/longhorn");
    names
        .into_iter()
        .filter_map(|name| {
            let metadata = root.metadata_within(format!("dev/longhorn/{name}")).ok()?;
            let device = metadata.file_type().is_block_device();
            let (major, minor) = device.then(|| split_number(metadata.rdev())).flatten()?;
            Some(Volume { name, major, minor })
        })
        .collect()
}

/// The directory of a replica, by its path on the host; what is not in memory stays unknown, as its disk may be the
/// one that hangs. Without a mount table the directory tells its disk itself.
#[must_use]
pub fn directory(root: &HostRoot, mounts: &Mounts, path: &str) -> ReplicaDirectory {
    let number = root.cached_place_within(path).ok().and_then(|place| {
        let of_mount = place
            .path
            .as_deref()
            .and_then(|path| mounts.device_of(path));
        of_mount.or_else(|| split_number(place.metadata.dev()))
    });
    let meta = root.cached_within(Path::new(path).join("volume.meta"), MAX_META);
    ReplicaDirectory {
        path: path.to_owned(),
        major: number.map(|(major, _)| major),
        minor: number.map(|(_, minor)| minor),
        meta: meta.ok().and_then(|text| parse_meta(&text)),
    }
}

pub fn parse_meta(text: &[u8]) -> Option<VolumeMeta> {
    let meta: Value = serde_json::from_slice(text).ok()?;
    let meta = meta.as_object()?;
    let flag = |name: &str| meta.get(name).and_then(Value::as_bool);
    let error = meta.get("Error").and_then(Value::as_str);
    let error = error.filter(|error| !error.is_empty());
    Some(VolumeMeta {
        size_bytes: meta.get("Size").and_then(Value::as_u64),
        rebuilding: flag("Rebuilding"),
        dirty: flag("Dirty"),
        error: error.map(|error| error.chars().take(MAX_TEXT).collect()),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::Fixture;
    use super::*;

    const DIRECTORY: &str = "/var/lib/harvester/defaultdisk/replicas/pvc-7a5a-0123abcd";

    #[test]
    fn a_replica_that_is_rebuilt_says_so() {
        let fixture = Fixture::new();
        fixture.file(
            &format!("{}/volume.meta", &DIRECTORY[1..]),
            r#"{"Size":10737418240,"Head":"volume-head-002.img","Dirty":true,"Rebuilding":true,"Error":"","Parent":"volume-snap-a.img","SectorSize":512,"BackingFilePath":""}"#,
        );
        let found = directory(&fixture.root(), &Mounts::default(), DIRECTORY);
        let meta = found.meta.unwrap();
        assert_eq!(meta.rebuilding, Some(true));
        assert_eq!(meta.size_bytes, Some(10_737_418_240));
        assert_eq!(meta.error, None);
        assert!(found.minor.is_some());
    }

    /// As one that was followed before: the first time, the kernel notes when, which may wait for the disk.
    fn followed(fixture: &Fixture, link: &str) {
        use nix::sys::stat::{UtimensatFlags, utimensat};
        use nix::sys::time::{TimeSpec, TimeValLike as _};
        let later = TimeSpec::seconds(1 << 32);
        let link = fixture.root().path(link);
        let flags = UtimensatFlags::NoFollowSymlink;
        utimensat(
            nix::fcntl::AT_FDCWD,
            &link,
            &later,
            &TimeSpec::zero(),
            flags,
        )
        .unwrap();
    }

    #[test]
    fn the_mount_table_tells_the_disk_through_links_too() {
        let fixture = Fixture::new();
        fixture
            .directory("var/lib/harvester/defaultdisk/replicas/pvc-1")
            .link("data", "/var/lib/harvester/defaultdisk");
        followed(&fixture, "data");
        let mounts = Mounts::parse(
            "1 0 7:0 / / ro - ext2 /dev/loop0 ro\n\
             2 1 259:6 / /var/lib/harvester/defaultdisk rw - ext4 /dev/nvme0n1p6 rw\n",
        );
        for path in [
            "/var/lib/harvester/defaultdisk/replicas/pvc-1",
            "/data/replicas/pvc-1",
        ] {
            let found = directory(&fixture.root(), &mounts, path);
            assert_eq!((found.major, found.minor), (Some(259), Some(6)), "{path}");
        }
        let gone = directory(&fixture.root(), &mounts, "/data/replicas/pvc-2");
        assert_eq!(gone.major, None);
    }

    #[test]
    fn a_directory_that_is_gone_has_its_path_only() {
        let found = directory(&Fixture::new().root(), &Mounts::default(), DIRECTORY);
        assert_eq!(found.path, DIRECTORY);
        assert_eq!((found.major, found.meta), (None, None));
    }

    #[test]
    fn a_link_out_of_the_root_and_a_gigabyte_are_not_read() {
        let outside = Fixture::new();
        outside.file("volume.meta", r#"{"Rebuilding":true}"#);
        let fixture = Fixture::new();
        let target = outside.root().path("volume.meta");
        fixture
            .link("a/volume.meta", target.to_str().unwrap())
            .link("b/volume.meta", "volume.meta")
            .sparse("c/volume.meta", 1 << 30);
        for path in ["/a", "/b", "/c"] {
            let found = directory(&fixture.root(), &Mounts::default(), path);
            assert_eq!(found.meta, None, "{path}");
        }
    }

    #[test]
    fn nodes_name_volumes_by_their_number() {
        let fixture = Fixture::new();
        fixture
            .file("dev/longhorn/not-a-device", "")
            .link("dev/longhorn/loop", "loop");
        if !fixture.block_device("dev/longhorn/pvc-7a5a", 8, 48) {
            return;
        }
        let volumes = volumes(&fixture.root());
        let volume = Volume {
            name: "pvc-7a5a".to_owned(),
            major: 8,
            minor: 48,
        };
        assert_eq!(volumes, [volume]);
    }

    proptest! {
        #[test]
        fn any_meta_is_read(text in r#"(\{("Rebuilding":(true|1|null)|"Error":"\PC*"|,)*\}|.{0,100})"#) {
            let _ = parse_meta(text.as_bytes());
        }
    }
}
