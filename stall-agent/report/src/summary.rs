//! The summary for a person at 2 a.m.: at most 15 lines of 80 columns. Foreign names are escaped.

use super::model::{AdviceWhen, Confidence, Fact, Kind, Waiter};
use super::text::{width, wrap};
use super::{Report, duration, escape, share, thousands};

const WIDTH: usize = 80;
const LINES: usize = 15;
const LABEL: usize = 10;

/// The summary; `written_to` is where the report is.
#[must_use]
pub fn summary(report: &Report, written_to: Option<&str>) -> String {
    let mut page = Page::default();
    page.section("VERDICT", &headline(report), 1);
    page.section("", &report.verdict.sentence, 3);
    page.section("WHERE", &place(report), 1);
    page.section("WHY", &why(report), 2);
    for (index, waiter) in report.verdict.waiters.iter().take(2).enumerate() {
        page.section(
            if index == 0 { "WAITED" } else { "" },
            &self::waiter(waiter),
            1,
        );
    }
    page.section("DISCARDS", &discards(report), 1);
    page.section("LOST", &lost(report), 1);
    for (when, label) in [(AdviceWhen::Now, "NOW"), (AdviceWhen::ForGood, "FOR GOOD")] {
        page.section(label, &command(report, when), 1);
    }
    page.section("REPORT", written_to.unwrap_or_default(), 1);
    page.text()
}

/// What it was.
pub const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::HostTrim => "a filesystem trim on this host",
        Kind::GuestTrim => "a guest's own trim",
        Kind::OtherDiscards => "discards",
        Kind::NoisyNeighbor => "a noisy neighbor",
        Kind::OwnLoad => "its own load",
        Kind::Overload => "an overloaded disk",
        Kind::DeviceHang => "a disk that does not answer",
        Kind::ArrayResync => "an array that resyncs",
        Kind::CgroupLimit => "a limit of a control group",
        Kind::Frozen => "a frozen filesystem",
        Kind::Suspended => "a suspended device",
        Kind::DirtyThrottling => "throttled writers",
        Kind::Memory => "memory pressure",
        Kind::Cpu => "too little CPU",
        Kind::NotVisible => "storage this host does not see",
        Kind::LockHolder => "a lock",
        Kind::SlowDevice => "a slow device",
        Kind::Flushes => "flushes",
        Kind::UpstreamStorage => "slow upstream storage",
        Kind::NoStall => "no stall",
        Kind::Inconclusive => "inconclusive",
    }
}

/// What it was, how sure, and in what time.
pub fn headline(report: &Report) -> String {
    let kind = kind(report.verdict.kind);
    let sure = match report.verdict.confidence {
        Some(Confidence::High) => ", confidence high",
        Some(Confidence::Medium) => ", confidence medium",
        Some(Confidence::Low) => ", confidence low",
        None => "",
    };
    let cut = if report.window.interrupted {
        ", interrupted"
    } else {
        ""
    };
    format!("{kind}{sure} ({}{cut})", duration(report.window.length_ns))
}

fn place(report: &Report) -> String {
    let Some(device) = &report.verdict.device else {
        return String::new();
    };
    match report.verdict.mount_points.as_slice() {
        [] => device.clone(),
        [one] => format!("{device}, {one}"),
        [first, more @ ..] => format!("{device}, {first} and {} more", more.len()),
    }
}

/// What tells a person most, in this order.
const TELLING: [Fact; 6] = [
    Fact::BlamedShare,
    Fact::WaitRatio,
    Fact::ExposedSlow,
    Fact::ExplainedShare,
    Fact::Consistency,
    Fact::SlowRequests,
];

fn why(report: &Report) -> String {
    let verdict = &report.verdict;
    let Some(cause) = verdict
        .hypotheses
        .first()
        .filter(|_| !verdict.culprits.is_empty())
    else {
        return String::new();
    };
    let told = |fact| {
        cause
            .evidence_for
            .iter()
            .find(|evidence| evidence.fact == fact)
    };
    let mut facts: Vec<String> = TELLING
        .into_iter()
        .filter_map(told)
        .map(|evidence| evidence.text.clone())
        .collect();
    if cause.origin.is_some() {
        facts.splice(facts.len().min(1)..facts.len().min(1), asleep(report));
    }
    whole(&facts, 2 * (WIDTH - LABEL) - 4)
}

fn asleep(report: &Report) -> Option<String> {
    let mut sleeps = report
        .verdict
        .culprits
        .iter()
        .filter_map(|culprit| culprit.sleep.as_ref());
    let sleep = sleeps.next()?;
    let (total, before) = (duration(sleep.total_ns), duration(sleep.before_ns));
    Some(format!("in D for {total}, {before} of it before the trace"))
}

/// As many whole facts as fit, the first in any case.
fn whole(facts: &[String], room: usize) -> String {
    let mut text = String::new();
    for fact in facts {
        if text.is_empty() {
            text.clone_from(fact);
        } else if width(&text) + width(fact) + 2 <= room {
            text.push_str("; ");
            text.push_str(fact);
        }
    }
    text
}

/// One that waited, with how much.
pub(super) fn waiter(waiter: &Waiter) -> String {
    let mut parts = Vec::new();
    if waiter.ops > 0 {
        parts.push(format!(
            "{} of {} slow",
            thousands(waiter.slow_ops),
            thousands(waiter.ops)
        ));
    }
    if let Some(excess) = waiter.excess_ns.and_then(|ns| u64::try_from(ns).ok()) {
        parts.push(format!("{} too long", duration(excess)));
    }
    if waiter.unfinished_ops > 0 {
        parts.push(format!("{} unfinished", waiter.unfinished_ops));
    }
    if let Some(blocked) = waiter.blocked_ns {
        parts.push(format!("in D {}", duration(blocked)));
    }
    format!("{}: {}", waiter.label, parts.join(", "))
}

fn discards(report: &Report) -> String {
    let ended = report
        .discards
        .iter()
        .fold(0u64, |sum, group| sum.saturating_add(group.ops));
    let open = report
        .discards
        .iter()
        .fold(0u64, |sum, group| sum.saturating_add(group.unfinished_ops));
    if ended == 0 && open == 0 {
        return "none".to_owned();
    }
    let busiest = report
        .devices
        .iter()
        .max_by_key(|device| device.discard_clock.busy_ns);
    let busy = busiest.and_then(|device| {
        Some(format!(
            ", in flight {} of the time on {}",
            share(device.discard_clock.busy_share?),
            device.id
        ))
    });
    format!(
        "{} ended, {} unfinished{}",
        thousands(ended),
        thousands(open),
        busy.unwrap_or_default()
    )
}

/// What was not measured, and what this kernel does not tell.
pub fn lost(report: &Report) -> String {
    let gaps = match report.coverage_gaps.as_slice() {
        [] => String::new(),
        [one] => format!("; on this kernel {}", one.lack),
        more => format!("; {} gaps of this kernel (coverage_gaps)", more.len()),
    };
    causes(report) + &gaps
}

fn causes(report: &Report) -> String {
    if report.losses.causes.is_empty() {
        return "nothing".to_owned();
    }
    let causes = report
        .losses
        .causes
        .iter()
        .map(|loss| format!("{} {}", thousands(loss.count), loss.cause));
    causes.collect::<Vec<_>>().join(", ")
}

/// The first command, or what to do in words where it would have to be cut: a cut command is another command.
fn command(report: &Report, when: AdviceWhen) -> String {
    let mut advice = report.verdict.advice.iter();
    let advice = advice.find(|advice| advice.when == when);
    advice.map_or_else(String::new, |advice| {
        let command = advice.command.as_ref();
        let command = command.filter(|command| width(command) <= WIDTH - LABEL);
        command.unwrap_or(&advice.text).clone()
    })
}

#[derive(Default)]
struct Page {
    lines: Vec<String>,
}

impl Page {
    /// A label and a text of at most so many lines; nothing when there is no text.
    fn section(&mut self, label: &str, text: &str, lines: usize) {
        let text = escape(text);
        for (index, line) in wrap(&text, WIDTH - LABEL, lines).into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.lines.push(format!("{label:<LABEL$}{line}"));
        }
    }

    fn text(mut self) -> String {
        self.lines.truncate(LINES);
        self.lines.join("\n") + "\n"
    }
}
