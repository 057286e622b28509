//! The first look at all processes: what it finds, and what it costs.

use super::super::fixture::Fixture;
use super::*;

fn add(fixture: &Fixture, pid: u32, comm: &str, cmdline: &str) {
    fixture
        .file(
            &format!("proc/{pid}/stat"),
            format!("{pid} ({comm}) S 1 0 0 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 1 2"),
        )
        .file(&format!("proc/{pid}/comm"), format!("{comm}\n"))
        .file(&format!("proc/{pid}/cmdline"), cmdline.replace(' ', "\0"));
}

#[test]
fn finds_those_that_tell_of_vms_and_volumes() {
    let fixture = Fixture::new();
    add(
        &fixture,
        7,
        "qemu-system-x86",
        "/usr/bin/qemu-system-x86_64 -name guest=a_b",
    );
    add(&fixture, 8, "bash", "bash -c qemu");
    add(&fixture, 9, "longhorn", "longhorn controller pvc-1");
    // Gone between the look at its name and the look at it.
    fixture
        .file("proc/10/comm", "tgtd\n")
        .directory("proc/self");
    let inventory = look(&fixture.root());
    let mut pids: Vec<_> = inventory
        .processes
        .iter()
        .map(|process| process.pid)
        .collect();
    pids.sort_unstable();
    assert_eq!(pids, [7, 9]);
    assert_eq!(inventory.processes_seen, 4);
}

#[test]
fn a_hundred_thousand_processes_take_less_than_a_second_of_cpu() {
    let fixture = Fixture::new();
    for pid in 1..=100_000 {
        fixture.file(&format!("proc/{pid}/comm"), "worker\n");
    }
    let root = fixture.root();
    let before = cpu_time();
    let (found, seen) = processes(&root);
    let used = cpu_time() - before;
    assert_eq!((found.len(), seen), (0, 100_000));
    println!("100,000 processes: {used:?} of CPU");
    // Without optimisation the agent's own part is several times as long.
    assert!(
        used.as_secs_f64() < if cfg!(debug_assertions) { 3.0 } else { 1.0 },
        "{used:?}"
    );
}

fn cpu_time() -> std::time::Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    time.into()
}
