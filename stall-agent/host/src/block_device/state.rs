//! What a stacked device says of itself: device mapper's `dm/`, Linux RAID's `md/`. All of it is kept by the kernel in memory: no
//! device is opened, and reading waits for none.

use super::{HostRoot, directory};
use stall_capture::DeviceState;

/// Parts of `dm/uuid`, and the target that a device so called has. Of a volume of LVM whose uuid ends otherwise it is not known.
const TARGETS: [(Part, &str); 16] = [
    (Part::Begin("CRYPT-VERITY-"), "verity"),
    (Part::Begin("CRYPT-INTEGRITY-"), "integrity"),
    (Part::Begin("CRYPT-"), "crypt"),
    (Part::Begin("mpath-"), "multipath"),
    (Part::Begin("part"), "linear"),
    (Part::End("-tpool"), "thin-pool"),
    (Part::End("-cpool"), "linear"),
    (Part::End("-tdata"), "linear"),
    (Part::End("-tmeta"), "linear"),
    (Part::End("-cdata"), "linear"),
    (Part::End("-cmeta"), "linear"),
    (Part::End("-cow"), "linear"),
    (Part::End("-real"), "linear"),
    (Part::End("-vdo"), "linear"),
    (Part::End("-vpool"), "vdo"),
    (Part::End("-crypt"), "crypt"),
];

#[derive(Clone, Copy)]
enum Part {
    Begin(&'static str),
    End(&'static str),
}

/// The state of a disk; all unknown of one that is not stacked.
#[must_use]
pub fn state(root: &HostRoot, disk: &str) -> DeviceState {
    let at = directory(disk);
    let is_mapped = root.exists(format!("{at}/dm"));
    let value = |name: &str| root.value(format!("{at}/{name}"));
    DeviceState {
        bio_based: is_bio_based(root, &at),
        mapper_targets: value("dm/uuid")
            .and_then(|uuid| target(&uuid))
            .into_iter()
            .collect(),
        suspended: is_mapped
            .then(|| value("dm/suspended"))
            .flatten()
            .map(|value| value != "0"),
        pool_trouble: None,
        sync_action: value("md/sync_action"),
        sync_done: value("md/sync_completed").and_then(|text| parse_done(&text)),
        degraded: root.number(format!("{at}/md/degraded")),
    }
}

/// Whether somebody should hear of it although nothing was asked of the device.
#[must_use]
pub fn is_trouble(state: &DeviceState) -> bool {
    let works = |action: &str| !matches!(action, "idle" | "frozen");
    state.suspended == Some(true)
        || state.pool_trouble.is_some()
        || state.sync_action.as_deref().is_some_and(works)
        || state.degraded.is_some_and(|missing| missing > 0)
}

/// A device that makes requests has hardware queues.
fn is_bio_based(root: &HostRoot, at: &str) -> bool {
    root.exists(format!("{at}/queue")) && !root.exists(format!("{at}/mq"))
}

fn target(uuid: &str) -> Option<String> {
    let fits = |part: &Part| match part {
        Part::Begin(begin) => uuid.starts_with(begin),
        Part::End(end) => uuid.ends_with(end),
    };
    let mut rows = TARGETS.iter();
    let (_, target) = rows.find(|(part, _)| fits(part))?;
    Some((*target).to_owned())
}

/// `1024 / 4096`; `none` and `delayed` are nothing done.
fn parse_done(text: &str) -> Option<(u64, u64)> {
    let (done, of) = text.split_once('/')?;
    Some((done.trim().parse().ok()?, of.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::Fixture;
    use super::*;

    fn of(disk: &str, lines: &str) -> DeviceState {
        let fixture = Fixture::new();
        fixture.files(&format!("sys/block/{disk}"), lines);
        state(&fixture.root(), disk)
    }

    #[test]
    fn a_suspended_mapping_is_trouble() {
        let dm = of(
            "dm-0",
            "queue/rotational=0
            dm/uuid=LVM-abc-tpool
            dm/suspended=1",
        );
        assert_eq!(dm.suspended, Some(true));
        assert!(dm.bio_based && is_trouble(&dm));
        assert_eq!(dm.mapper_targets, ["thin-pool"]);
        let dm = of(
            "dm-1",
            "queue/rotational=0
            dm/uuid=CRYPT-LUKS2-0a
            dm/suspended=0",
        );
        assert_eq!(dm.suspended, Some(false));
        assert!(!is_trouble(&dm));
        assert_eq!(dm.mapper_targets, ["crypt"]);
    }

    #[test]
    fn an_array_says_what_it_does() {
        let md = of(
            "md0",
            "queue/rotational=0
            md/sync_action=check
            md/sync_completed=1024 / 4096
            md/degraded=0",
        );
        assert_eq!(md.sync_action.as_deref(), Some("check"));
        assert_eq!(md.sync_done, Some((1024, 4096)));
        assert!(is_trouble(&md));
        let md = of(
            "md0",
            "md/sync_action=idle
            md/sync_completed=none
            md/degraded=1",
        );
        assert_eq!((md.sync_done, md.degraded), (None, Some(1)));
        assert!(is_trouble(&md));
    }

    #[test]
    fn a_plain_disk_has_no_state() {
        let sda = of(
            "sda",
            "queue/rotational=0
            mq/0/nr_tags=64",
        );
        assert_eq!(sda, DeviceState::default());
        assert!(!is_trouble(&sda));
    }
}
