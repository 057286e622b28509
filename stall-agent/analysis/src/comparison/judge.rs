//! Whether two runs can be compared, and what they prove: rules K4 and K5 of `docs/principles.md`.

use super::model::{
    Comparison, Finding, Load, Outcome, OutcomeKind, Proportion, Reason, ReasonKind, Run,
    SlowChange, Suspect,
};
use super::rules::{
    COVERED, LARGER, LEAST_INTERVALS, LEAST_LOAD, LEAST_OPS, LEAST_SLOW, LOSS, RISK,
    SHORT_WINDOW_NS,
};
use super::side::Side;
use super::words;
use stall_report::model::HookState;
use stall_report::{duration, factor, share, thousands};

/// What a comparison, complete but for its verdict, amounts to.
pub(super) fn judge(sides: &[Side<'_>; 2], found: &Comparison) -> Outcome {
    let (finding, reasons) = match rule(sides, found) {
        Ok(finding) => (Some(finding), Vec::new()),
        Err(reasons) => (None, reasons),
    };
    let kind = match finding {
        Some(Finding::LatencyFell) => OutcomeKind::Confirmed,
        Some(_) => OutcomeKind::NotConfirmed,
        None => OutcomeKind::NotComparable,
    };
    Outcome {
        kind,
        finding,
        sentence: words::sentence(found, finding, &reasons),
        reasons,
    }
}

/// K4 and K5: each finding needs only what it rests on.
fn rule(sides: &[Side<'_>; 2], found: &Comparison) -> Result<Finding, Vec<Reason>> {
    let mut reasons = machine(&found.before, &found.after);
    reasons.extend(time(sides, &found.before, &found.after));
    reasons.extend(quality(sides));
    let Some(suspect) = &found.suspect else {
        let text = "the verdict before names nobody for the use of a disk";
        reasons.push(plain(ReasonKind::NobodyNamed, text));
        return Err(reasons);
    };
    reasons.extend(measured(suspect));
    let here = found
        .disk_of(suspect)
        .filter(|disk| disk.after_device.is_some());
    let (Some(disk), Some(load)) = (here, &found.load) else {
        let text = format!("the disk {} is not in the run after", suspect.before_device);
        reasons.push(plain(ReasonKind::OtherDisk, &text));
        return Err(reasons);
    };
    if reasons.is_empty() && suspect.gone != Some(true) {
        return Ok(Finding::CauseStillThere);
    }
    let slow = &disk.others.slow;
    reasons.extend(amount(&slow.before, &slow.after));
    reasons.extend(alike(load));
    let finding = latency(slow);
    if finding != Finding::LatencyNotBetter {
        reasons.extend(fallen(load));
    }
    if reasons.is_empty() {
        Ok(finding)
    } else {
        Err(reasons)
    }
}

/// K5, of a suspect that is gone.
fn latency(slow: &SlowChange) -> Finding {
    let Some(risk) = &slow.relative_risk else {
        return Finding::Undecided;
    };
    let fell = |high: Option<f64>| high.is_some_and(|high| high <= RISK);
    if fell(Some(risk.high)) && fell(slow.batches_high) {
        Finding::LatencyFell
    } else if risk.low > RISK || risk.ratio >= 1.0 {
        Finding::LatencyNotBetter
    } else {
        Finding::Undecided
    }
}

fn plain(kind: ReasonKind, text: &str) -> Reason {
    Reason {
        kind,
        value: None,
        bound: None,
        text: text.to_owned(),
    }
}

fn number(kind: ReasonKind, value: f64, bound: f64, text: String) -> Reason {
    Reason {
        kind,
        value: Some(value),
        bound: Some(bound),
        text,
    }
}

fn machine(before: &Run, after: &Run) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if let (Some(one), Some(other)) = (&before.hostname, &after.hostname)
        && one != other
    {
        let text = format!("another host: {one}, then {other}");
        reasons.push(plain(ReasonKind::OtherHost, &text));
    }
    match (&before.boot_id, &after.boot_id) {
        (Some(one), Some(other)) if one == other => {}
        (Some(_), Some(_)) => {
            reasons.push(plain(
                ReasonKind::OtherBoot,
                "the machine was booted in between",
            ));
        }
        _ => reasons.push(plain(
            ReasonKind::BootUnknown,
            "it is not known whether both are of the same boot",
        )),
    }
    reasons
}

fn time(sides: &[Side<'_>; 2], before: &Run, after: &Run) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let windows = sides.each_ref().map(|side| &side.capture.window);
    if windows[1].start_ns < windows[0].end_ns {
        let text = "the second run begins before the first one ends";
        reasons.push(plain(ReasonKind::WrongOrder, text));
    }
    if before.slow_ns != after.slow_ns {
        let [one, other] = [before, after].map(|run| duration(run.slow_ns));
        let text = format!("slow is from {one} on before, from {other} on after");
        reasons.push(plain(ReasonKind::OtherSlowLimit, &text));
    }
    for (side, when) in sides.iter().zip(WHEN) {
        let (length_ns, intervals) = (side.report.window.length_ns, side.capture.intervals.len());
        if length_ns < SHORT_WINDOW_NS {
            let length = duration(length_ns);
            let text = format!("the run {when} lasted {length} only");
            let (value, bound) = (length_ns as f64, SHORT_WINDOW_NS as f64);
            reasons.push(number(ReasonKind::TooShort, value, bound, text));
        } else if intervals < LEAST_INTERVALS {
            let text = format!("the run {when} has {intervals} intervals only");
            let (value, bound) = (intervals as f64, LEAST_INTERVALS as f64);
            reasons.push(number(ReasonKind::TooShort, value, bound, text));
        }
    }
    reasons
}

const WHEN: [&str; 2] = ["before", "after"];

fn quality(sides: &[Side<'_>; 2]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for (side, when) in sides.iter().zip(WHEN) {
        let lost = side.report.losses.request_share;
        if lost >= LOSS {
            let text = format!("{} of the requests {when} were lost", share(lost));
            reasons.push(number(ReasonKind::Losses, lost, LOSS, text));
        }
        let is_missing = |state| matches!(state, HookState::Missing | HookState::Failed);
        let missing = side.report.hooks.iter().find(|hook| is_missing(hook.state));
        if let Some(hook) = missing {
            let text = format!("{} was not attached {when}", hook.hook);
            reasons.push(plain(ReasonKind::MissingHook, &text));
        }
    }
    reasons
}

fn measured(suspect: &Suspect) -> Option<Reason> {
    let text = "what the suspect did before cannot be measured";
    let used = suspect.use_per_s.before.is_some_and(|used| used > 0.0);
    (!used).then(|| plain(ReasonKind::UseUnknown, text))
}

fn amount(before: &Proportion, after: &Proportion) -> Vec<Reason> {
    let mut reasons = Vec::new();
    if before.slow_ops < LEAST_SLOW {
        let text = format!("{} slow requests of others before", before.slow_ops);
        let (value, bound) = (before.slow_ops as f64, LEAST_SLOW as f64);
        reasons.push(number(ReasonKind::TooLittle, value, bound, text));
    }
    if after.ops < LEAST_OPS {
        let text = format!("{} requests of others after", thousands(after.ops));
        let (value, bound) = (after.ops as f64, LEAST_OPS as f64);
        reasons.push(number(ReasonKind::TooLittle, value, bound, text));
    }
    reasons
}

/// Whether the requests are of the same flows and sizes.
fn alike(load: &Load) -> Vec<Reason> {
    let mut reasons = Vec::new();
    let covered = load.covered_share.filter(|covered| *covered < COVERED);
    reasons.extend(covered.map(|covered| {
        let text = format!(
            "only {} of the slow requests before have the same process and operation after",
            share(covered)
        );
        number(ReasonKind::TooLittle, covered, COVERED, text)
    }));
    let sizes = [
        (load.read_size_ratio, "reads"),
        (load.write_size_ratio, "writes"),
    ];
    for (ratio, what) in sizes {
        let other = ratio.filter(|ratio| *ratio > LARGER || *ratio < LARGER.recip());
        reasons.extend(other.map(|ratio| {
            let times = factor(ratio);
            let text = format!("the others' {what} are {times} times as large as before");
            number(ReasonKind::OtherSizes, ratio, LARGER, text)
        }));
    }
    reasons
}

/// Less load can make a disk faster. It is no reason where the disk is not, and then often the work of the latency.
fn fallen(load: &Load) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for (kept, what) in [(load.ops_kept, "requests"), (load.bytes_kept, "bytes")] {
        let fallen = kept.filter(|kept| *kept < LEAST_LOAD);
        reasons.extend(fallen.map(|kept| {
            let text = format!("of the others' {what} per second {} are left", share(kept));
            number(ReasonKind::LoadFell, kept, LEAST_LOAD, text)
        }));
    }
    for label in &load.stopped {
        let text = format!("{label} stopped as well");
        reasons.push(plain(ReasonKind::SomebodyElseStopped, &text));
    }
    reasons
}
