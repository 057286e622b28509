//! What a comparison says in a sentence. Names in it are foreign and not escaped.

use super::model::{Comparison, Finding, Measure, Reason, SlowChange, Suspect};
use super::rules::RISK;
use stall_report::{bytes, duration, factor, share};

/// The verdict for people.
pub(super) fn sentence(found: &Comparison, finding: Option<Finding>, reasons: &[Reason]) -> String {
    let (Some(finding), Some(suspect)) = (finding, &found.suspect) else {
        let texts: Vec<&str> = reasons.iter().map(|reason| reason.text.as_str()).collect();
        return format!("the two runs prove nothing: {}", texts.join("; "));
    };
    let who = who(suspect);
    let default = SlowChange::default();
    let slow = found
        .disk_of(suspect)
        .map_or(&default, |disk| &disk.others.slow);
    let change = change(slow);
    let device = &suspect.before_device;
    match finding {
        Finding::LatencyFell => format!(
            "{who} delayed others on {device}: without it {change}{}",
            remains(found)
        ),
        Finding::CauseStillThere => format!(
            "nothing was tested: {who} still uses {device} ({} before, {} after)",
            used(suspect, suspect.use_per_s.before),
            used(suspect, suspect.use_per_s.after)
        ),
        Finding::LatencyNotBetter => {
            format!("{who} is gone from {device}, and the latency is not: {change}")
        }
        Finding::Undecided => format!(
            "{who} is gone from {device}, and the numbers do not tell whether others are slow at most {} as often: {change}",
            factor(RISK)
        ),
    }
}

fn who(suspect: &Suspect) -> String {
    match suspect.labels.as_slice() {
        [] => "the suspect".to_owned(),
        [one] => one.clone(),
        [first, more @ ..] => format!("{first} (and {} more)", more.len()),
    }
}

fn change(slow: &SlowChange) -> String {
    let told = |share_of: Option<f64>| share_of.map_or_else(|| "none".to_owned(), share);
    let [before, after] = [slow.before.slow_share, slow.after.slow_share].map(told);
    let risk = slow
        .relative_risk
        .as_ref()
        .map_or_else(String::new, |risk| {
            let high = slow
                .batches_high
                .map_or(risk.high, |high| high.max(risk.high));
            let low = slow.batches_low.map_or(risk.low, |low| low.min(risk.low));
            format!(
                ", {} times as often (95 %: {} to {})",
                small(risk.ratio),
                small(low),
                small(high)
            )
        });
    format!("{after} of their requests are slow, with it {before}{risk}")
}

/// Factors below one with two digits.
pub(super) fn small(value: f64) -> String {
    if value >= 0.1 {
        return factor(value);
    }
    let digits = (-value.log10()).ceil().clamp(0.0, 9.0) as usize + 1;
    format!("{value:.digits$}")
}

fn remains(found: &Comparison) -> &'static str {
    if found.after.stalled == Some(true) {
        "; something is still slow, see the verdict after"
    } else {
        ""
    }
}

/// Use of a disk per second.
pub(super) fn used(suspect: &Suspect, value: Option<f64>) -> String {
    let Some(value) = value else {
        return "not known".to_owned();
    };
    match suspect.measure {
        Measure::DiscardNs => format!("discards in flight {} of the time", share(value / 1e9)),
        Measure::Bytes => format!("{} per second", bytes(value as u64)),
        Measure::Preflushes => format!("{} flushes per second", factor(value)),
    }
}

/// Nanoseconds that need not be whole.
pub(super) fn time(ns: f64) -> String {
    duration(ns.round() as u64)
}
