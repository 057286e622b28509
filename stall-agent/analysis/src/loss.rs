//! What was not measured, as shares: rules C2 and C3 of `docs/principles.md`.

use crate::total::Total as _;
use stall_common::loss::Loss as Cause;

use stall_capture::Capture;
use stall_report::model::{Loss, Losses};

pub(super) fn losses(capture: &Capture) -> Losses {
    let lost = |kind| {
        let of_kind = capture
            .loss
            .iter()
            .filter(|loss| touches(&loss.cause) == kind);
        of_kind.map(|loss| loss.count).total()
    };
    Losses {
        request_share: share(lost(Touches::Requests), requests(capture)),
        record_share: share(lost(Touches::Records), records(capture)),
        sleep_share: share(lost(Touches::Sleeps), sleeps(capture)),
        causes: causes(capture),
    }
}

fn causes(capture: &Capture) -> Vec<Loss> {
    let happened = capture.loss.iter().filter(|loss| loss.count > 0);
    happened
        .map(|loss| Loss {
            cause: loss.cause.clone(),
            count: loss.count,
        })
        .collect()
}

/// What a loss makes incomplete.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Touches {
    /// Counts and times of requests.
    Requests,
    /// Names and single requests.
    Records,
    /// Sleeps and stacks.
    Sleeps,
    /// Nothing a verdict rests on.
    Nothing,
}

/// Causes that user space counts itself (`collect::loss::Own`). One this version does not know may touch anything: it is
/// held to touch requests.
fn touches_of_own(name: &str) -> Touches {
    match name {
        // The longest are kept, and sums have all.
        "records_not_kept" => Touches::Nothing,
        "undecodable_records" | "names_given_up" => Touches::Records,
        "stacks_without_symbols" | "task_iterations_failed" => Touches::Sleeps,
        _ => Touches::Requests,
    }
}

fn touches(name: &str) -> Touches {
    let known = Cause::ALL.iter().find(|cause| cause.name() == name);
    known.map_or_else(
        || touches_of_own(name),
        |cause| match cause {
            Cause::RequestsFull
            | Cause::ActorsFull
            | Cause::UsesFull
            | Cause::DisksFull
            | Cause::Contended
            | Cause::SeriesFull
            | Cause::DiscardsFull
            | Cause::OwnersFull
            | Cause::UnmatchedCompletion
            | Cause::MissedCompletion
            | Cause::NegativeTime
            | Cause::ClockRace => Touches::Requests,
            Cause::RingFull => Touches::Records,
            Cause::SleepsFull
            | Cause::BlockedFull
            | Cause::StacksFull
            | Cause::StackWalk
            | Cause::MissedWakeup => Touches::Sleeps,
            // Slow requests beyond the budget are counted all the same, only not shown one by one;
            // and of a request whose part was not seen to complete, all bytes count.
            Cause::RecordBudget | Cause::MissedPartial => Touches::Nothing,
        },
    )
}

fn share(lost: u64, kept: u64) -> f64 {
    crate::number::ratio(lost, lost.saturating_add(kept)).unwrap_or(0.0)
}

fn requests(capture: &Capture) -> u64 {
    let ended = capture.series.iter().map(|series| series.ops).total();
    ended.saturating_add(capture.unfinished_requests.len() as u64)
}

fn records(capture: &Capture) -> u64 {
    let single =
        capture.slow_requests.len() + capture.discard_requests.len() + capture.long_sleeps.len();
    (single + capture.actors.len() + capture.tasks.len() + capture.disks.len()) as u64
}

fn sleeps(capture: &Capture) -> u64 {
    let long = capture.blocked.iter().map(|row| row.sleeps).total();
    let short = capture.tasks.iter().map(|task| task.short_sleeps).total();
    long.saturating_add(short)
        .saturating_add(capture.unfinished_sleeps.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::test_capture::{Builder, Part, disk};
    use super::*;
    use stall_capture as capture;
    use stall_capture::Op;

    fn lost(cause: &str) -> Losses {
        let nothing = Part(0, 0, 0);
        let builder = Builder::of_disks(vec![disk("sda")]).actor(2, "fio").flow(
            2,
            0,
            Op::Read,
            nothing,
            Part(100, 0, 1_000),
        );
        let loss = capture::Loss {
            cause: cause.to_owned(),
            count: 100,
        };
        losses(&builder.with(|capture| capture.loss.push(loss)).capture())
    }

    #[test]
    fn records_beyond_what_is_kept_are_no_lost_requests() {
        let losses = lost("records_not_kept");
        assert!(losses.request_share + losses.record_share + losses.sleep_share < 0.01);
        assert!(lost("undecodable_records").record_share > 0.5);
        assert!(lost("task_iterations_failed").sleep_share > 0.5);
    }

    #[test]
    fn what_is_not_known_touches_requests() {
        assert!(lost("unheard_of").request_share > 0.4);
        assert!(lost("program_recursion_misses").request_share > 0.4);
    }
}
