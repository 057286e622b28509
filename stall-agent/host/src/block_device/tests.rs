//! Disks on fixture trees, and those of this machine.

use super::super::fixture::Fixture;
use super::super::mounts::Mounts;
use super::*;

fn node() -> Fixture {
    let fixture = Fixture::new();
    fixture
        .files(
            "sys/block/sda",
            "dev=8:0
             size=2048
             inflight=       3       11
             stat=1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17
             device/model=SSDSC2KB960G8
             device/vendor=ATA
             queue/rotational=0
             queue/iostats=1
             queue/scheduler=none [mq-deadline] bfq
             queue/nr_requests=256
             queue/write_cache=write back
             queue/logical_block_size=512
             queue/discard_granularity=4096
             queue/discard_max_bytes=2147450880
             queue/discard_max_hw_bytes=2147450880
             queue/wbt_lat_usec=2000
             sda1/dev=8:1
             sda1/partition=1
             sda1/start=2048
             sda1/size=1000
             sda2/dev=8:2
             sda2/partition=2
             sda2/start=4096
             sda2/size=800",
        )
        .file("sys/block/sda/device/vpd_pg80", b"\0\x80\0\x08SERIAL42")
        .link(
            "sys/block/sda/device/driver",
            "../../../bus/scsi/drivers/sd",
        )
        .directory("sys/block/sda/sda2/holders/dm-0")
        .files("sys/block/dm-0", "dev=253:0\nsize=800")
        .directory("sys/block/dm-0/slaves/sda2")
        .files(
            "sys/block/loop0",
            "dev=7:0\nsize=100\nloop/backing_file=/srv/disk.img",
        )
        .files("sys/block/loop1", "dev=7:1\nsize=0")
        .files(
            "sys/block/nvme0n1",
            "dev=259:0\nsize=4096\ndevice/serial=S1",
        )
        .files("sys/block/nvme0c0n1", "size=4096\nhidden=1")
        .files("sys/block/nvme0c1n1", "size=4096\nhidden=1")
        .files("sys/block/cciss!c0d0", "dev=104:0\nsize=64")
        .files(
            "sys/class/block",
            "sda1/dev=8:1\nsda2/dev=8:2\nsda/dev=8:0\nnvme0n1/dev=259:0",
        );
    fixture
}

#[test]
fn a_virtio_disk_is_not_asked_for_its_serial_number() {
    let fixture = Fixture::new();
    fixture.files("sys/block/vda", "dev=253:0\nsize=4096\nserial=ASKED");
    let facts = facts(&fixture.root(), "vda", &Mounts::parse("")).unwrap();
    assert_eq!(facts.size_bytes, Some(4096 * 512));
    assert_eq!(facts.serial, None);
}

fn names(disks: &[WholeDisk]) -> Vec<&str> {
    disks.iter().map(|disk| disk.name.as_str()).collect()
}

#[test]
fn lists_all_disks_hidden_ones_too() {
    let disks = disks(&node().root());
    assert_eq!(
        names(&disks),
        [
            "cciss/c0d0",
            "dm-0",
            "loop0",
            "loop1",
            "nvme0c0n1",
            "nvme0c1n1",
            "nvme0n1",
            "sda"
        ]
    );
    assert_eq!(disks[4].number, None);
    assert_eq!(disks[7].number, Some((8, 0)));
}

#[test]
fn gathers_the_facts_of_a_disk() {
    let mounts = Mounts::parse(
        "1 2 8:1 / /boot rw - ext4 /dev/sda1 rw\n3 2 8:0 / /raw rw - ext4 /dev/sda rw",
    );
    let facts = facts(&node().root(), "sda", &mounts).unwrap();
    assert_eq!(facts.model.as_deref(), Some("SSDSC2KB960G8"));
    assert_eq!(facts.serial.as_deref(), Some("SERIAL42"));
    assert_eq!(facts.driver.as_deref(), Some("sd"));
    assert_eq!(facts.size_bytes, Some(1 << 20));
    assert_eq!(facts.rotational, Some(false));
    assert_eq!(facts.iostats, Some(true));
    assert_eq!(facts.scheduler.as_deref(), Some("mq-deadline"));
    assert_eq!(facts.queue_depth, Some(256));
    assert_eq!(facts.write_cache.as_deref(), Some("write back"));
    assert_eq!(facts.discard_granularity_bytes, Some(4096));
    assert_eq!(facts.writeback_throttling_us, Some(2000));
    assert_eq!(facts.used_by, ["dm-0"]);
    assert_eq!(facts.mounts[0].mount_point, "/raw");
    assert_eq!(facts.partitions.len(), 2);
    assert_eq!(facts.partitions[0].mounts[0].mount_point, "/boot");
    assert_eq!(facts.partitions[0].start_sector, Some(2048));
    assert_eq!(facts.partitions[1].number, Some(2));
    assert_eq!(facts.partitions[1].used_by, ["dm-0"]);
}

#[test]
fn relates_stacked_devices_both_ways() {
    let root = node().root();
    let none = Mounts::default();
    let fixture = node();
    let facts = |disk| facts(&fixture.root(), disk, &none).unwrap();
    assert_eq!(facts("dm-0").made_of, ["sda2"]);
    assert_eq!(facts("nvme0n1").made_of, ["nvme0c0n1", "nvme0c1n1"]);
    assert_eq!(facts("nvme0c0n1").used_by, ["nvme0n1"]);
    assert_eq!(
        facts("loop0").backing_file.as_deref(),
        Some("/srv/disk.img")
    );
    assert_eq!(super::facts(&root, "gone", &none).map(|_| ()), None);
}

#[test]
fn what_sysfs_does_not_say_is_not_known() {
    let facts = facts(&node().root(), "loop1", &Mounts::default()).unwrap();
    assert_eq!(facts.model, None);
    assert_eq!(facts.rotational, None);
    assert_eq!(facts.backing_file, None);
}

#[test]
fn reads_the_counters() {
    let fixture = node();
    let root = fixture.root();
    let in_flight = in_flight(&root, "sda").unwrap();
    assert_eq!((in_flight.reads, in_flight.writes), (3, 11));
    let stat = stat(&root, "sda").unwrap();
    assert_eq!((stat.reads, stat.queue_ms), (1, 11));
    assert_eq!((stat.discards, stat.flush_ms), (Some(12), Some(17)));
    assert_eq!(super::stat(&root, "loop0"), None);
}

#[test]
fn older_kernels_have_fewer_counters() {
    let fixture = node();
    fixture.files("sys/block/sda", "stat=1 2 3 4 5 6 7 8 9 10 11");
    assert_eq!(stat(&fixture.root(), "sda").unwrap().discards, None);
    fixture.files("sys/block/sda", "stat=1 2 3\ninflight=1");
    assert_eq!(stat(&fixture.root(), "sda"), None);
    assert_eq!(in_flight(&fixture.root(), "sda"), None);
}

#[test]
fn resolves_names_numbers_and_nodes_to_the_whole_disk() {
    let fixture = node();
    for spec in ["sda", "sda1", "8:0", "8:1", "/dev/sda", "/dev/sda2"] {
        assert_eq!(
            names(&resolve(&fixture.root(), spec).unwrap()),
            ["sda"],
            "{spec}"
        );
    }
    assert_eq!(
        names(&resolve(&fixture.root(), "cciss/c0d0").unwrap()),
        ["cciss/c0d0"]
    );
}

#[test]
fn a_stacked_device_comes_with_what_it_is_made_of() {
    let fixture = node();
    let resolve = |spec| resolve(&fixture.root(), spec).unwrap();
    assert_eq!(names(&resolve("dm-0")), ["dm-0", "sda"]);
    assert_eq!(
        names(&resolve("nvme0n1")),
        ["nvme0n1", "nvme0c0n1", "nvme0c1n1"]
    );
    assert_eq!(names(&resolve("loop0")), ["loop0"]);
}

#[test]
fn devices_made_of_each_other_end() {
    let fixture = node();
    fixture
        .directory("sys/block/dm-0/slaves/dm-1")
        .files("sys/block/dm-1", "dev=253:1")
        .directory("sys/block/dm-1/slaves/dm-0");
    let found = resolve(&fixture.root(), "dm-0").unwrap();
    assert_eq!(names(&found), ["dm-0", "dm-1", "sda"]);
}

#[test]
fn says_what_there_is_when_nothing_is_meant() {
    let fixture = node();
    let message = |spec| resolve(&fixture.root(), spec).unwrap_err().to_string();
    let known = "the disks here are cciss/c0d0, dm-0, loop0, nvme0c0n1, nvme0c1n1, nvme0n1, sda";
    assert_eq!(
        message("sdq"),
        format!("there is no disk, partition or path \"sdq\": {known}")
    );
    assert_eq!(
        message("9:9"),
        format!("no disk has the number 9:9: {known}")
    );
    for spec in ["", ".", "..", "../sda", "/", "\u{1b}[2J"] {
        assert!(resolve(&fixture.root(), spec).is_err(), "{spec}");
    }
}

#[test]
fn a_path_on_a_filesystem_without_a_disk_is_refused() {
    let error = resolve(&HostRoot::default(), "/proc").unwrap_err();
    assert!(matches!(error, ResolveError::NoDiskBelow { .. }), "{error}");
    let error = resolve(&HostRoot::default(), "/dev/null").unwrap_err();
    assert!(matches!(error, ResolveError::NotADisk { .. }), "{error}");
}

#[test]
fn an_empty_name_is_not_the_root() {
    let error = resolve(&HostRoot::default(), "").unwrap_err();
    assert!(matches!(error, ResolveError::Unknown { .. }), "{error}");
}

#[test]
fn knows_the_paths_of_nvme_multipath() {
    assert_eq!(multipath_head("nvme0c12n3").as_deref(), Some("nvme0n3"));
    for name in ["nvme0n1", "nvmecn", "nvme0c1", "sdc1n1", "nvme0c0n1p1"] {
        assert_eq!(multipath_head(name), None, "{name}");
    }
}

#[test]
fn describes_the_disks_of_this_machine() {
    let root = HostRoot::default();
    let mounts = Mounts::of_host(&root);
    for disk in disks(&root) {
        assert!(facts(&root, &disk.name, &mounts).is_some());
        assert!(stat(&root, &disk.name).is_some());
    }
}
