//! What is known of actors and tasks, and what is not.

use super::*;
use stall_host::fixture::Fixture;

fn process(pid: u32, comm: &str) -> Process {
    Process {
        pid,
        comm: comm.to_owned(),
        ..Process::default()
    }
}

#[test]
fn tasks_of_one_process_share_it_and_another_of_the_same_pid_does_not() {
    let (mut tasks, mut groups) = (Tasks::default(), Groups::default());
    for (task, comm) in [(1, "qemu"), (2, "qemu"), (3, "other")] {
        tasks.keep(task, 7, groups.pack(process(7, comm)));
    }
    assert!(Arc::ptr_eq(&tasks.of[&1], &tasks.of[&2]));
    let tasks = tasks.unpacked();
    assert!(Arc::ptr_eq(&tasks[&1], &tasks[&2]));
    assert_eq!(tasks[&3].comm, "other");
    assert_eq!(tasks[&1].comm, "qemu");
}

fn known(actor: Process, own: Process) -> Known {
    let mut found = Found::default();
    let (actor, own) = (found.groups.pack(actor), found.groups.pack(own));
    found.actors.insert(FIRST, actor);
    found.tasks.keep(1, 7, own);
    Known::of(&found, 0, Vec::new())
}

fn task() -> records::Task {
    records::Task {
        task: 1,
        tid: 7,
        tgid: 7,
        start_boottime_ns: 5,
        kernel_thread: false,
        comm: "sh".to_owned(),
    }
}

#[test]
fn a_task_has_the_newer_name_of_its_process_and_never_that_of_another() {
    let own = || Process {
        cgroup: vec!["0::/".to_owned()],
        ..process(7, "sh")
    };
    let name = |known: &Known| known.of_task(&task()).comm.clone();
    assert_eq!(name(&known(process(7, "dd"), own())), "dd");
    assert_eq!(name(&known(process(8, "dd"), own())), "sh");
    let later = Process {
        start_boottime_ns: 1 << 40,
        ..process(7, "dd")
    };
    assert_eq!(name(&known(later, own())), "sh");
}

#[test]
fn the_last_name_of_what_has_ended_stays() {
    let ended = Process {
        exited_ns: Some(9),
        ..process(7, "dd")
    };
    let before = Process {
        exe: Some("/bin/dash".to_owned()),
        ..process(7, "sh")
    };
    let merged = merge(&ended, before);
    assert_eq!((merged.comm.as_str(), merged.exe), ("dd", None));
    assert_eq!(merge(&process(7, "sh"), process(7, "dd")).comm, "dd");
}

/// Who starts programs without end gets no more of the agent's memory, and it is told.
#[test]
fn no_more_actors_and_tasks_are_kept_than_there_is_room_for() {
    let fixture = Fixture::new();
    let mut names = Names::start(fixture.root()).unwrap();
    for number in 0..MOST as u32 + 3 {
        names.actor(&records::Process {
            actor: FIRST + number,
            tgid: 1_000 + number,
            start_boottime_ns: 5,
            cgroup: 1,
            kernel_thread: false,
            comm: "dd".to_owned(),
            args: Vec::new(),
            args_truncated: false,
        });
        names.task(&records::Task {
            task: number,
            ..task()
        });
    }
    let known = names.finish();
    assert_eq!(known.actors.len(), MOST);
    assert_eq!(known.tasks.len(), MOST);
    let mut gaps = known.gaps.iter();
    let gap = gaps.find(|gap| gap.reason.contains("which are kept"));
    assert_eq!(gap.map(|gap| gap.count), Some(6));
    assert!(known.lost >= 6);
}

#[test]
fn ended_processes_of_a_program_and_group_are_told_of_as_one() {
    let fixture = Fixture::new();
    let mut names = Names::start(fixture.root()).unwrap();
    let mut ended = |actor: u32, comm: &str, cgroup: u64| {
        names.actor(&records::Process {
            actor,
            tgid: 100_000 + actor,
            start_boottime_ns: 1,
            cgroup,
            kernel_thread: false,
            comm: comm.to_owned(),
            args: Vec::new(),
            args_truncated: false,
        });
    };
    for (actor, comm, cgroup) in [
        (2, "sh", 9),
        (3, "sh", 9),
        (4, "sh", 8),
        (5, "dd", 9),
        (6, "sh", 9),
    ] {
        ended(actor, comm, cgroup);
    }
    assert_eq!(names.fold(&[2, 3, 4, 5]), [(3, 2)].into());
    assert_eq!(names.fold(&[6]), [(6, 2)].into());
    let rows = names.so_far().actor_rows();
    let alike: Vec<_> = rows.iter().map(|row| (row.id, row.ended_alike)).collect();
    assert_eq!(alike, [(0, 0), (1, 0), (2, 2), (4, 0), (5, 0)]);
}
