//! The iSCSI target behind a disk, by sysfs: the disk lies below its session, and the session names the target
//! (`/sys/class/iscsi_session/<session>/targetname`).

use super::HostRoot;

/// A name of RFC 3720 has 223 bytes at most.
const MAX_NAME: usize = 223;

/// Name of the target of a disk; `None` for a disk that is none of iSCSI.
#[must_use]
pub fn target(root: &HostRoot, disk: &str) -> Option<String> {
    let place = root.link(format!("sys/block/{disk}"))?;
    let session = place.split('/').find(|part| is_session(part))?;
    let name = root.value(format!("sys/class/iscsi_session/{session}/targetname"))?;
    (name.len() <= MAX_NAME).then_some(name)
}

fn is_session(part: &str) -> bool {
    let number = part.strip_prefix("session");
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn a_disk_of_a_session_has_its_target() {
        let fixture = Fixture::new();
        fixture
            .link(
                "sys/block/sdd",
                "../devices/platform/host3/session1/target3:0:0/3:0:0:1/block/sdd",
            )
            .link(
                "sys/block/sda",
                "../devices/pci0000:00/ata1/host0/target0:0:0/0:0:0:0/block/sda",
            )
            .file(
                "sys/class/iscsi_session/session1/targetname",
                "iqn.2019-10.io.longhorn:pvc-7a5a\n",
            );
        let target = |disk| target(&fixture.root(), disk);
        assert_eq!(
            target("sdd").as_deref(),
            Some("iqn.2019-10.io.longhorn:pvc-7a5a")
        );
        assert_eq!(target("sda"), None);
        assert_eq!(target("sdz"), None);
    }
}
