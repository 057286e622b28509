//! Why two runs cannot be compared: each reason of rule K4 alone, and what is none.

use super::{
    Finding, OutcomeKind, ReasonKind, SECOND, after, before, later, outcome, reasons, scaled, with,
    without_trim,
};
use stall_capture::{Capture, Loss, Op};

#[test]
fn the_same_capture_twice_proves_nothing() {
    assert_eq!(reasons(&before(), &before()), [ReasonKind::WrongOrder]);
}

#[test]
fn another_machine_boot_limit_or_disk_cannot_be_compared() {
    let boot = with(after(), |capture| {
        capture.host.boot_id = Some("another".to_owned());
    });
    assert_eq!(reasons(&before(), &boot), [ReasonKind::OtherBoot]);
    let unknown = with(after(), |capture| capture.host.boot_id = None);
    assert_eq!(reasons(&before(), &unknown), [ReasonKind::BootUnknown]);
    let named = |name: &str, capture| {
        with(capture, |capture: &mut Capture| {
            capture.host.hostname = Some(name.to_owned());
        })
    };
    let host = reasons(&named("one", before()), &named("other", after()));
    assert_eq!(host, [ReasonKind::OtherHost]);
    let limit = with(after(), |capture| capture.settings.slow_ns *= 2);
    assert_eq!(reasons(&before(), &limit), [ReasonKind::OtherSlowLimit]);
    let serial = with(after(), |capture| {
        let facts = capture.disks[0].facts.as_mut().unwrap();
        facts.serial = Some("S1".to_owned());
    });
    assert_eq!(reasons(&before(), &serial), [ReasonKind::OtherDisk]);
}

#[test]
fn short_blind_and_empty_runs_cannot_be_compared() {
    let short = with(after(), |capture| {
        capture.window.end_ns = capture.window.start_ns + 4 * SECOND;
    });
    assert!(reasons(&before(), &short).contains(&ReasonKind::TooShort));
    let coarse = with(after(), |capture| capture.intervals.truncate(4));
    assert_eq!(reasons(&before(), &coarse), [ReasonKind::TooShort]);
    let lossy = with(after(), |capture| {
        let cause = stall_common::loss::Loss::RequestsFull.name().to_owned();
        capture.loss.push(Loss { cause, count: 200 });
    });
    assert_eq!(reasons(&before(), &lossy), [ReasonKind::Losses]);
    let blind = with(after(), |capture| {
        capture.hooks[0].state = stall_capture::HookState::Failed;
    });
    assert_eq!(reasons(&before(), &blind), [ReasonKind::MissingHook]);
    let idle = with(after(), |capture| capture.uses.clear());
    assert!(reasons(&before(), &idle).contains(&ReasonKind::TooLittle));
    let fine = later(after());
    assert!(reasons(&after(), &fine).contains(&ReasonKind::NobodyNamed));
}

#[test]
fn less_load_is_a_reason_and_more_is_none() {
    let all = |_| true;
    let less = reasons(&before(), &scaled(after(), all, 0.4));
    assert_eq!(less, [ReasonKind::LoadFell, ReasonKind::LoadFell]);
    assert_eq!(
        outcome(&before(), &scaled(after(), all, 40.0)).0,
        OutcomeKind::Confirmed
    );
    assert_eq!(
        outcome(&before(), &scaled(after(), all, 0.6)).0,
        OutcomeKind::Confirmed
    );
}

/// A slow disk makes its users do less; that nothing came of the stop is known all the same.
#[test]
fn less_load_is_no_excuse_for_latency_that_stays() {
    let slow = with(without_trim(later(before())), |capture| {
        for used in &mut capture.uses {
            used.ops /= 5;
            used.bytes /= 5;
        }
    });
    let (_, finding, reasons) = outcome(&before(), &slow);
    assert_eq!(finding, Some(Finding::LatencyNotBetter), "{reasons:?}");
    let there = scaled(later(before()), |_| true, 0.1);
    assert_eq!(outcome(&before(), &there).1, Some(Finding::CauseStillThere));
}

#[test]
fn one_who_does_more_does_not_make_up_for_others_who_do_less() {
    let less = scaled(after(), |actor| actor != 4, 0.12);
    let shifted = scaled(less, |actor| actor == 4, 10.0);
    let fell = [ReasonKind::LoadFell, ReasonKind::LoadFell];
    assert_eq!(reasons(&before(), &shifted), fell);
}

#[test]
fn somebody_else_who_stopped_is_a_reason() {
    // The reader with 40 % of the requests.
    let one = scaled(after(), |actor| actor == 3, 0.05);
    assert_eq!(reasons(&before(), &one), [ReasonKind::SomebodyElseStopped]);
    // Nor do others who do more make up for it.
    let more = scaled(one, |actor| actor == 4, 10.0);
    assert_eq!(reasons(&before(), &more), [ReasonKind::SomebodyElseStopped]);
}

#[test]
fn requests_of_another_size_are_a_reason() {
    let larger = with(after(), |capture| {
        for used in capture.uses.iter_mut().filter(|used| used.op == Op::Read) {
            used.bytes *= 3;
        }
    });
    assert_eq!(reasons(&before(), &larger), [ReasonKind::OtherSizes]);
}
