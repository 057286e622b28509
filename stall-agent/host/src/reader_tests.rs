//! Look-ups that answer, and look-ups that hang.

use std::sync::mpsc;

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

/// Answers at once, except for the pids below `stuck`, which hang until the sender is dropped.
fn hanging_below(stuck: u32) -> (Reader, mpsc::Sender<()>) {
    let (release, gate) = mpsc::channel::<()>();
    let gate = Mutex::new(gate);
    let look_up = move |query: Query| {
        if query.pid < stuck {
            let gate = gate.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = gate.recv();
        }
        Ok(Process {
            pid: query.pid,
            ..Process::default()
        })
    };
    (Reader::with(Box::new(look_up)).unwrap(), release)
}

#[test]
fn answers_what_it_was_asked() {
    let (reader, _gate) = hanging_below(0);
    for pid in 1..=100 {
        assert!(reader.request(pid + 1000, pid, None));
    }
    let finished = reader.finish(soon());
    assert_eq!(finished.answers.len(), 100);
    assert_eq!((finished.given_up, finished.refused), (0, 0));
    assert_eq!(finished.answers[9].query.id, 1010);
    assert_eq!(finished.answers[9].process.as_ref().unwrap().pid, 10);
}

#[test]
fn gives_answers_while_it_runs_and_each_once() {
    let (reader, _gate) = hanging_below(0);
    reader.request(1, 1, None);
    let mut answers = Vec::new();
    while answers.is_empty() {
        answers = reader.answers();
    }
    assert_eq!(answers.len(), 1);
    assert!(reader.answers().is_empty());
    assert!(reader.finish(soon()).answers.is_empty());
}

#[test]
fn goes_on_when_one_look_up_hangs() {
    let (reader, gate) = hanging_below(2);
    for pid in 0..10 {
        reader.request(pid, pid, None);
    }
    let finished = reader.finish(Instant::now() + Duration::from_millis(1500));
    assert_eq!(finished.given_up, 2);
    assert_eq!(finished.answers.len(), 8);
    drop(gate);
}

#[test]
fn gives_up_at_the_deadline_when_all_threads_hang() {
    let (reader, gate) = hanging_below(u32::MAX);
    for pid in 0..10 {
        reader.request(pid, pid, None);
    }
    let asked = Instant::now();
    let finished = reader.finish(asked + Duration::from_millis(100));
    assert!(asked.elapsed() < Duration::from_secs(2));
    assert_eq!(finished.given_up, 10);
    drop(gate);
}

#[test]
fn refuses_beyond_its_queue_and_counts_it() {
    let (reader, gate) = hanging_below(u32::MAX);
    let asked = u32::try_from(MAX_QUEUE).unwrap() + 100;
    let taken = (0..asked)
        .filter(|pid| reader.request(*pid, *pid, None))
        .count();
    assert!((MAX_QUEUE..=MAX_QUEUE + MAX_THREADS).contains(&taken));
    let finished = reader.finish(Instant::now());
    assert_eq!(finished.refused, u64::from(asked) - taken as u64);
    drop(gate);
}

#[test]
fn describes_real_processes() {
    let reader = Reader::start(HostRoot::default()).unwrap();
    reader.request(7, std::process::id(), None);
    reader.request(8, u32::MAX, None);
    let answers = reader.finish(soon()).answers;
    assert_eq!(answers[0].process.as_ref().unwrap().pid, std::process::id());
    assert_eq!(answers[1].process, Err(Missing::Ended));
}

#[test]
fn a_look_up_that_panics_costs_no_other() {
    let look_up = |query: Query| {
        assert!(query.pid != 3, "a panic of a test");
        Ok(Process::default())
    };
    let reader = Reader::with(Box::new(look_up)).unwrap();
    for pid in 0..10 {
        reader.request(pid, pid, None);
    }
    let finished = reader.finish(soon());
    assert_eq!((finished.answers.len(), finished.given_up), (10, 0));
    let failed = |answer: &&Answer| answer.process == Err(Missing::Failed);
    assert_eq!(finished.answers.iter().filter(failed).count(), 1);
}
