//! Mounts whose data come from a server, on the network or in user space.

use std::collections::BTreeSet;

use super::mounts::Mounts;
use stall_capture::ServerMount;

/// Mounts kept.
const MOST: usize = 256;

/// Filesystems that ask a server, beside `fuse.*` and `fuse`.
const SERVED: [&str; 17] = [
    "nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "virtiofs", "lustre", "gpfs", "afs", "coda",
    "orangefs", "beegfs", "wekafs", "panfs", "vboxsf", "fuseblk",
];

/// Whether a filesystem of this kind waits for a server.
#[must_use]
pub fn is_served(filesystem: &str) -> bool {
    filesystem == "fuse" || filesystem.starts_with("fuse.") || SERVED.contains(&filesystem)
}

/// The mounts of a table that are; of a filesystem that is mounted at many places, as for each pod, the one that has most of it
/// and the shortest path.
#[must_use]
pub fn servers(mounts: &Mounts) -> Vec<ServerMount> {
    let served = mounts.entries().iter();
    let served = served.filter(|entry| is_served(&entry.mount.filesystem));
    let mut served: Vec<_> = served.collect();
    served.sort_by_key(|entry| (entry.mount.root.len(), entry.mount.mount_point.len()));
    let mut known = BTreeSet::new();
    let first = served
        .into_iter()
        .filter(|entry| known.insert((entry.major, entry.minor)));
    let rows = first.map(|entry| ServerMount {
        mount_point: entry.mount.mount_point.clone(),
        major: entry.major,
        minor: entry.minor,
        filesystem: entry.mount.filesystem.clone(),
        source: entry.mount.source.clone(),
    });
    rows.take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
22 27 0:21 / /proc rw - proc proc rw
60 27 0:50 /sub /var/lib/kubelet/pods/1/volume-subpaths/x rw - nfs4 10.0.0.5:/export rw,addr=10.0.0.5
61 27 0:50 / /var/lib/kubelet/pods/1/volumes/kubernetes.io~csi/pvc-1/mount rw - nfs4 10.0.0.5:/export rw,addr=10.0.0.5
62 27 0:50 / /mnt rw - nfs4 10.0.0.5:/export rw,addr=10.0.0.5
63 27 0:61 / /images rw - fuse.glusterfs gluster:/images rw
64 27 0:62 / /home rw - cifs //server/home\\040of rw
65 27 0:63 / /sys/fs/fuse/connections rw - fusectl none rw
66 27 259:6 / /data rw - ext4 /dev/nvme0n1p6 rw
67 27 0:64 / /share rw - 9p tag rw,trans=virtio
";

    #[test]
    fn each_servers_filesystem_is_told_once() {
        let rows = servers(&Mounts::parse(TABLE));
        let told: Vec<_> = rows
            .iter()
            .map(|row| {
                let (major, minor) = (row.major, row.minor);
                format!(
                    "{} {major}:{minor} {} {}",
                    row.mount_point, row.filesystem, row.source
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                "/mnt 0:50 nfs4 10.0.0.5:/export",
                "/home 0:62 cifs //server/home of",
                "/share 0:64 9p tag",
                "/images 0:61 fuse.glusterfs gluster:/images",
            ]
        );
    }

    #[test]
    fn what_lies_on_a_disk_or_in_memory_has_no_server() {
        for filesystem in ["ext4", "fusectl", "tmpfs", "overlay", "fuses"] {
            assert!(!is_served(filesystem), "{filesystem}");
        }
    }
}
