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
    assert!(inventory.name_gaps.is_empty());
    let few = processes(&fixture.root(), 1);
    assert!(few.processes.len() == 1 && few.left_out > 0);
}

/// Threads are no entries of `/proc`, and are not looked at: as many processes cost more than as many threads. One
/// in 24 tells of a VM or a volume and is looked up whole, with its pod, until there are as many as are kept.
#[test]
#[expect(clippy::disallowed_macros, reason = "a test says what it measured")]
fn a_hundred_thousand_processes_take_less_than_a_second_of_cpu() {
    const PODS: u32 = 250;
    let fixture = Fixture::in_memory();
    for pod in 0..PODS {
        fixture.directory(&format!(
            "var/log/pods/ns_virt-launcher-vm{pod}-abcde_{}",
            uid(pod)
        ));
    }
    for pid in 1..=100_000 {
        if pid % 24 == 0 {
            add(&fixture, pid, "qemu-kvm", "qemu-kvm -name guest=ns_vm");
            let pod = uid(pid % PODS);
            fixture.file(
                &format!("proc/{pid}/cgroup"),
                format!("0::/kubepods/pod{pod}\n"),
            );
        } else {
            fixture.file(&format!("proc/{pid}/comm"), "worker\n");
        }
    }
    let root = fixture.root();
    let before = cpu_time();
    let inventory = look(&root);
    let used = cpu_time() - before;
    assert_eq!(
        (inventory.processes.len(), inventory.processes_seen),
        (MAX_KEPT, 100_000)
    );
    let named = inventory.processes.iter().filter(|process| {
        let pod = process.pod.as_ref();
        pod.is_some_and(|pod| pod.name.is_some())
    });
    assert_eq!(named.count(), MAX_KEPT);
    println!("100,000 processes, {MAX_KEPT} of them whole: {used:?} of CPU");
    // Without optimisation the agent's own part is several times as long.
    assert!(
        used.as_secs_f64() < if cfg!(debug_assertions) { 3.0 } else { 1.0 },
        "{used:?}"
    );
}

fn uid(pod: u32) -> String {
    format!("{pod:08x}-1c1e-4b8a-9a77-0f3a1b5299aa")
}

fn cpu_time() -> std::time::Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap();
    time.into()
}
