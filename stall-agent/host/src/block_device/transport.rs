//! How a disk is attached, by its place in sysfs.

use super::{HostRoot, directory, multipath_disks};

/// `nvme` (over PCIe), `nvme/tcp` and the like, `iscsi`, `fc`, `sas`, `sata`, `usb`, `virtio`, `mmc`, `xen`; `None` for
/// devices made of others and for what is none of these.
pub(super) fn transport(root: &HostRoot, disk: &str) -> Option<String> {
    if disk.starts_with("nvme") {
        let of = |disk: &str| root.value(format!("{}/device/transport", directory(disk)));
        // A multipath device has none of its own; its paths do.
        let paths = || multipath_disks(root, disk).iter().find_map(|path| of(path));
        let transport = of(disk).or_else(paths)?;
        return Some(match transport.as_str() {
            "pcie" => "nvme".to_owned(),
            other => format!("nvme/{other}"),
        });
    }
    let place = root.link(directory(disk))?;
    let parts = || place.split('/');
    // The disk's own bus is the last on the way: a USB bridge also has a SCSI host.
    let kinds = [
        ("session", "iscsi"),
        ("rport-", "fc"),
        ("end_device-", "sas"),
        ("usb", "usb"),
        ("ata", "sata"),
        ("virtio", "virtio"),
        ("mmc", "mmc"),
        ("vbd-", "xen"),
    ];
    let (_, kind) = kinds
        .iter()
        .find(|(prefix, _)| parts().any(|part| is_numbered(part, prefix)))?;
    Some((*kind).to_owned())
}

fn is_numbered(part: &str, prefix: &str) -> bool {
    let number = part.strip_prefix(prefix);
    number.is_some_and(|number| number.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn the_place_in_sysfs_tells() {
        let cases = [
            (
                "sda",
                "../devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda",
                Some("sata"),
            ),
            (
                "sdb",
                "../devices/pci0000:00/usb1/1-1/1-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb",
                Some("usb"),
            ),
            (
                "sdd",
                "../devices/platform/host3/session1/target3:0:0/3:0:0:1/block/sdd",
                Some("iscsi"),
            ),
            (
                "sde",
                "../devices/pci0000:00/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/block/sde",
                Some("sas"),
            ),
            (
                "vda",
                "../devices/pci0000:00/0000:00:04.0/virtio1/block/vda",
                Some("virtio"),
            ),
            ("dm-0", "../devices/virtual/block/dm-0", None),
            ("loop0", "../devices/virtual/block/loop0", None),
        ];
        for (disk, place, expected) in cases {
            let fixture = Fixture::new();
            fixture.link(&format!("sys/block/{disk}"), place);
            assert_eq!(
                transport(&fixture.root(), disk).as_deref(),
                expected,
                "{disk}"
            );
        }
    }

    #[test]
    fn nvme_tells_itself() {
        let fixture = Fixture::new();
        fixture
            .file("sys/block/nvme0n1/device/transport", "pcie\n")
            .file("sys/block/nvme1n1/device/transport", "tcp\n")
            .file("sys/block/nvme2n1/device/model", "SPDK\n")
            .file("sys/block/nvme2c3n1/device/transport", "tcp\n");
        assert_eq!(
            transport(&fixture.root(), "nvme0n1").as_deref(),
            Some("nvme")
        );
        assert_eq!(
            transport(&fixture.root(), "nvme1n1").as_deref(),
            Some("nvme/tcp")
        );
        let multipath = transport(&fixture.root(), "nvme2n1");
        assert_eq!(multipath.as_deref(), Some("nvme/tcp"));
    }
}
