//! Nobody is accused on mere presence; nothing slow is no stall.

use super::*;

#[test]
fn fast_discards_on_a_slow_disk_are_acquitted_with_numbers() {
    // The worked example of docs/principles.md: all slow requests meet a discard because they last so long.
    let exposed = Part(150, 50, 166_666_667);
    let builder = Builder::of_disks(vec![disk("sda")])
        .actor(FSTRIM, "fstrim")
        .actor(VM, "qemu-kvm")
        .actor(WRITER, "dd")
        .discards(FSTRIM, 0, TRIM, 20_000, 300_000)
        .busy(0, 6 * SECOND)
        .partly_exposed(
            VM,
            0,
            Op::Read,
            (exposed, 2_500 * MS),
            Part(900, 0, 200_000),
        );
    let report = report(builder);
    is(&report, Kind::Inconclusive, None);
    assert_eq!(trim_standing(&report), Standing::Refuted);
    assert!(report.verdict.culprits.is_empty());
    assert_eq!(report.verdict.stalled, Some(true));
}

#[test]
fn a_disk_as_slow_without_discards_acquits_them() {
    let builder = Builder::of_disks(vec![disk("sda")])
        .actor(FSTRIM, "fstrim")
        .actor(VM, "qemu-kvm")
        .discards(FSTRIM, 0, TRIM, 600, 50 * MS)
        .busy(0, 30 * SECOND)
        .flow(
            VM,
            0,
            Op::Read,
            Part(600, 590, 50 * MS),
            Part(610, 600, 49 * MS),
        );
    let report = report(builder);
    is(&report, Kind::Inconclusive, None);
    assert_eq!(trim_standing(&report), Standing::Refuted);
}

#[test]
fn a_trim_of_another_disk_is_not_accused() {
    let builder = Builder::of_disks(vec![disk("sda"), disk("sdb")])
        .actor(FSTRIM, "fstrim")
        .actor(VM, "qemu-kvm")
        .discards(FSTRIM, 1, TRIM, 1_000, 30 * MS)
        .busy(1, 30 * SECOND)
        .flow(VM, 0, Op::Read, Part(0, 0, 0), Part(1_000, 900, 50 * MS));
    let report = report(builder);
    is(&report, Kind::Inconclusive, None);
    assert_eq!(trim_standing(&report), Standing::Refuted);
    assert_eq!(report.verdict.unexplained_devices, ["sda"]);
}

#[test]
fn a_trim_that_nobody_waits_for_is_no_stall() {
    let builder = Builder::of_disks(vec![disk("sda")])
        .actor(FSTRIM, "fstrim")
        .actor(VM, "qemu-kvm")
        .discards(FSTRIM, 0, TRIM, 1_000, 30 * MS)
        .busy(0, 30 * SECOND)
        .asleep(FSTRIM, "fstrim", TRIM_SLEEP, 1_600 * SECOND)
        .flow(
            VM,
            0,
            Op::Read,
            Part(5_000, 1, 400_000),
            Part(5_000, 0, 350_000),
        );
    let report = report(builder);
    is(&report, Kind::NoStall, Some(Confidence::High));
    assert_eq!(trim_standing(&report), Standing::Refuted);
}

#[test]
fn an_idle_host_has_no_stall() {
    is(
        &report(Builder::of_disks(vec![disk("sda")])),
        Kind::NoStall,
        Some(Confidence::High),
    );
}

#[test]
fn another_mix_of_work_during_a_trim_is_no_effect() {
    // Flushes are slow, reads are not, each alike with and without; there only are more flushes during the trim.
    let builder = Builder::of_disks(vec![disk("sda")])
        .actor(FSTRIM, "fstrim")
        .actor(VM, "qemu-kvm")
        .actor(ETCD, "etcd")
        .discards(FSTRIM, 0, TRIM, 1_000, 30 * MS)
        .busy(0, 30 * SECOND)
        .flow(
            VM,
            0,
            Op::Read,
            Part(1_000, 0, 300_000),
            Part(20_000, 0, 300_000),
        )
        .flow(
            ETCD,
            0,
            Op::Preflush,
            Part(900, 800, 20 * MS),
            Part(90, 80, 20 * MS),
        );
    let report = report(builder);
    is(&report, Kind::Inconclusive, None);
    assert_eq!(trim_standing(&report), Standing::Refuted);
}

#[test]
fn a_long_wait_without_a_slow_disk_lies_above() {
    let frames = [
        "schedule",
        "rwsem_down_write_slowpath",
        "down_write",
        "ext4_buffered_write_iter",
    ];
    let builder =
        Builder::of_disks(vec![disk("sda")]).slept(WRITER, "dd", &frames, (5 * SECOND, 0));
    let report = report(builder);
    is(&report, Kind::Inconclusive, None);
    assert_eq!(report.verdict.waiters[0].label, "dd (pid 1005)");
    let frames = ["schedule", "wait_for_vfork_done", "kernel_clone"];
    let builder =
        Builder::of_disks(vec![disk("sda")]).slept(WRITER, "sh", &frames, (5 * SECOND, 0));
    is(
        &super::report(builder),
        Kind::NoStall,
        Some(Confidence::High),
    );
}

#[test]
fn what_nobody_saw_submitted_is_not_weighed() {
    // Requests older than the trace waited for a stuck discard before it; nobody else did.
    let builder = Builder::of_disks(vec![disk("sda")])
        .actor(FSTRIM, "fstrim")
        .discards(FSTRIM, 0, TRIM, 1_000, 30 * MS)
        .busy(0, 30 * SECOND)
        .flow(0, 0, Op::Read, Part(10, 10, 5 * SECOND), Part(0, 0, 0));
    let report = report(builder);
    is(&report, Kind::Inconclusive, None);
    assert!(report.victims.is_empty());
}

#[test]
fn slower_and_still_fast_is_no_stall() {
    // Ten times the wait with a discard in flight, and far below what anybody minds.
    let builder = Builder::of_disks(vec![disk("sda")])
        .actor(FSTRIM, "fstrim")
        .actor(VM, "qemu-kvm")
        .discards(FSTRIM, 0, TRIM, 1_000, 30 * MS)
        .busy(0, 30 * SECOND)
        .flow(
            VM,
            0,
            Op::Read,
            Part(5_000, 4, MS),
            Part(50_000, 0, 100_000),
        );
    is(&report(builder), Kind::NoStall, Some(Confidence::High));
}

#[test]
fn what_is_mostly_waited_without_a_discard_is_not_waited_for_it() {
    // Each request lasts two seconds and so meets a discard or two, of 30 ms each.
    let exposed = Part(300, 300, 2 * SECOND);
    let builder = Builder::of_disks(vec![disk("sda")])
        .actor(FSTRIM, "fstrim")
        .actor(VM, "qemu-kvm")
        .discards(FSTRIM, 0, TRIM, 100, 30 * MS)
        .busy(0, 3 * SECOND)
        .partly_exposed(VM, 0, Op::Read, (exposed, 30 * SECOND), Part(0, 0, 0));
    let report = report(builder);
    is(&report, Kind::Inconclusive, None);
    assert_eq!(trim_standing(&report), Standing::Refuted);
    assert_eq!(report.verdict.hypotheses[0].rule.as_deref(), Some("D3"));
}

#[test]
fn a_machine_that_trims_itself_waits_for_its_own_trim() {
    let frames = [
        "blkdev_issue_discard",
        "blkdev_common_ioctl",
        "blkdev_ioctl",
    ];
    let builder = Builder::of_disks(vec![disk("sda")])
        .actor(VM, "qemu-kvm")
        .discards(VM, 0, &frames, 1_000, 30 * MS)
        .busy(0, 30 * SECOND)
        .flow(
            VM,
            0,
            Op::Read,
            Part(500, 450, 58 * MS),
            Part(8_000, 4, 350_000),
        );
    let report = report(builder);
    is(&report, Kind::GuestTrim, Some(Confidence::High));
    assert_eq!(report.verdict.culprits[0].label, "qemu-kvm (pid 1003)");
    assert_eq!(report.discards[0].origin, Origin::Guest);
    assert_eq!(report.verdict.waiters[0].label, "qemu-kvm (pid 1003)");
}

#[test]
fn a_trim_that_began_in_the_window_has_no_older_discards() {
    let builder = Builder::of_disks(vec![disk("sda")])
        .actor(VM, "qemu-kvm")
        .busy(0, 60 * SECOND)
        .unfinished(0, 0, Op::Discard, 100 * SECOND, None)
        .unfinished(VM, 0, Op::Read, 50 * SECOND, None)
        .asleep(FSTRIM, "fstrim", TRIM_SLEEP, 30 * SECOND);
    let report = report(builder);
    assert_eq!(report.discards[0].origin, Origin::Unknown);
    assert!(report.verdict.kind != Kind::HostTrim);
}
