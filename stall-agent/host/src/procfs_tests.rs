//! Processes on fixture trees, and this one.

use proptest::prelude::*;

use super::super::fixture::Fixture;
use super::*;

fn stat_line(pid: u32, comm: &str, flags: u64, ticks: u64) -> String {
    format!(
        "{pid} ({comm}) D 1 {pid} {pid} 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 {ticks} 1 2 18446744073709551615 0 0\n"
    )
}

fn fstrim() -> Fixture {
    let fixture = Fixture::new();
    fixture
        .file("proc/77/stat", stat_line(77, "fstrim", 0x0040_0000, 12_345))
        .file("proc/77/comm", "fstrim\n")
        .file(
            "proc/77/cmdline",
            b"/usr/sbin/fstrim\0--listed-in\0/etc/fstab:/proc/self/mountinfo\0",
        )
        .file("proc/77/cgroup", "0::/system.slice/fstrim.service\n")
        .link("proc/77/exe", "/usr/sbin/fstrim");
    fixture
}

#[test]
fn describes_a_process() {
    let process = process(&fstrim().root(), 77, None).unwrap();
    assert_eq!(process.comm, "fstrim");
    assert_eq!(process.args[1], "--listed-in");
    assert_eq!(process.args.len(), 3);
    assert!(!process.args_truncated);
    assert_eq!(process.exe.as_deref(), Some("/usr/sbin/fstrim"));
    assert_eq!(process.unit.as_deref(), Some("fstrim.service"));
    assert_eq!(process.parent_pid, Some(1));
    assert_eq!(process.start_boottime_ns, 123_450_000_000);
    assert!(!process.kernel_thread);
}

#[test]
fn keeps_the_exact_start_it_was_asked_for() {
    let start = 123_457_654_321;
    let process = process(&fstrim().root(), 77, Some(start)).unwrap();
    assert_eq!(process.start_boottime_ns, start);
}

#[test]
fn does_not_describe_another_process_of_the_same_pid() {
    let other = process(&fstrim().root(), 77, Some(123_480_000_000));
    assert_eq!(other, Err(Missing::Reused));
    assert!(process(&fstrim().root(), 77, Some(123_460_000_001)).is_ok());
}

#[test]
fn tells_an_ended_process_from_an_unreadable_one() {
    let fixture = fstrim();
    fixture.file("proc/78/stat", "garbage");
    assert_eq!(process(&fixture.root(), 99, None), Err(Missing::Ended));
    assert_eq!(process(&fixture.root(), 78, None), Err(Missing::Unreadable));
}

#[test]
fn a_name_may_hold_parentheses_and_line_feeds() {
    let stat = parse_stat(&stat_line(5, "a) R 1\n(b", 0, 9)).unwrap();
    assert_eq!(stat.comm, "a) R 1\n(b");
    assert_eq!(stat.start_ticks, 9);
}

#[test]
fn is_silent_on_a_line_cut_short() {
    let line = stat_line(5, "x", 0, 9);
    for end in 0..line.find(" 9 ").unwrap() {
        assert_eq!(parse_stat(&line[..end]), None);
    }
}

#[test]
fn names_the_work_queue_of_a_kernel_worker() {
    let fixture = Fixture::new();
    fixture
        .file(
            "proc/9/stat",
            stat_line(9, "kworker/u8:3-loop1", KERNEL_THREAD, 1),
        )
        .file("proc/9/comm", "kworker/u8:3-loop1\n")
        .file("proc/9/cmdline", "");
    let process = process(&fixture.root(), 9, None).unwrap();
    assert_eq!(process.comm, "kworker/u8:3");
    assert_eq!(process.worker.as_deref(), Some("loop1"));
    assert!(process.kernel_thread);
    assert!(process.args.is_empty());
    assert_eq!(process.exe, None);
}

#[test]
fn splits_the_names_of_kernel_workers() {
    let split = split_worker;
    assert_eq!(
        split("kworker/0:1H+kblockd"),
        Some(("kworker/0:1H", "kblockd"))
    );
    assert_eq!(
        split("kworker/u8:0-ext4-rsv-conversion"),
        Some(("kworker/u8:0", "ext4-rsv-conversion"))
    );
    assert_eq!(
        split("kworker/R-xfs-buf/vdb"),
        Some(("kworker/R", "xfs-buf/vdb"))
    );
    assert_eq!(split("kworker/0:0"), None);
    assert_eq!(split("jbd2/vda-8"), None);
}

#[test]
fn a_process_that_calls_itself_a_worker_is_none() {
    let fixture = Fixture::new();
    fixture
        .file("proc/9/stat", stat_line(9, "kworker/0:1-x", 0, 1))
        .file("proc/9/comm", "kworker/0:1-x\n");
    let process = process(&fixture.root(), 9, None).unwrap();
    assert_eq!(process.comm, "kworker/0:1-x");
    assert_eq!(process.worker, None);
}

#[test]
fn keeps_empty_arguments_between_others() {
    assert_eq!(split_arguments(b"a\0\0b\0").0, ["a", "", "b"]);
    assert_eq!(
        split_arguments(b"postgres: writer\0\0\0\0").0,
        ["postgres: writer"]
    );
    assert!(split_arguments(b"\0\0").0.is_empty());
}

#[test]
fn bounds_a_command_line_and_says_so() {
    let fixture = fstrim();
    fixture.file("proc/77/cmdline", vec![b'x'; 1 << 20]);
    let process = process(&fixture.root(), 77, None).unwrap();
    assert_eq!(process.args[0].len(), 4096);
    assert!(process.args_truncated);
}

#[test]
fn takes_hostile_command_lines_as_text() {
    let (args, _) = split_arguments(b"\x1b[2J\xff\n\"\0$(reboot)\0");
    assert_eq!(args, ["\u{1b}[2J\u{fffd}\n\"", "$(reboot)"]);
}

#[test]
fn describes_this_very_process() {
    let pid = std::process::id();
    let process = process(&HostRoot::default(), pid, None).unwrap();
    assert_eq!(process.pid, pid);
    assert!(!process.args.is_empty());
    assert!(process.start_boottime_ns > 0);
    assert!(thread_comm(&HostRoot::default(), pid, pid).is_some());
}

proptest! {
    #[test]
    fn any_name_is_found_in_its_line(comm in "[^\0]{0,64}", pid: u32, ticks: u64) {
        let stat = parse_stat(&stat_line(pid, &comm, 0, ticks)).unwrap();
        prop_assert_eq!(stat.comm, comm);
        prop_assert_eq!(stat.start_ticks, ticks);
    }

    #[test]
    fn any_bytes_are_a_line_or_none(text in ".{0,200}", bytes: Vec<u8>) {
        let _ = parse_stat(&text);
        let _ = split_worker(&text);
        let (args, _) = split_arguments(&bytes);
        prop_assert!(args.iter().all(|arg| !arg.contains('\0')));
    }
}
