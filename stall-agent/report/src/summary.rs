//! The summary for a person at 2 a.m.: at most 15 lines, none wider than the terminal. Foreign names are escaped.
//!
//! What matters most is written first and in full; while lines are free, nothing is cut.

use super::incident::{causes, causes_in_words};
use super::kind::kind;
use super::model::{Advice, AdviceWhen, Confidence, Fact, Kind, LoweredBy, PartyKind, Waiter};
use super::text::wrap;
use super::{Report, duration, escape, shell, thousands};

/// Cells of a line: on a narrower terminal and in a file.
pub(crate) const NARROWEST: usize = 80;
/// What is wider is hard to read.
pub(crate) const WIDEST: usize = 110;
const LINES: usize = 15;
const LABEL: usize = 11;
/// Rank of what is shown only where the others, in full, leave room for it.
const LATER: usize = 20;
/// From this part of what was to be measured on, it is told what was not.
const LOST: f64 = 0.01;

/// The summary in lines of 80 cells; `written_to` is where the report is.
#[must_use]
pub fn summary(report: &Report, written_to: Option<&str>) -> String {
    summary_within(report, written_to, NARROWEST)
}

/// The summary for a terminal of so many cells.
#[must_use]
pub fn summary_within(report: &Report, written_to: Option<&str>, cells: usize) -> String {
    let mut page = Page::new(cells.clamp(NARROWEST, WIDEST));
    let verdict = &report.verdict;
    page.text("VERDICT", &headline(report), 0, 1);
    page.text("", &verdict.sentence, 1, 5);
    page.text("WHERE", &place(report), 4, 1);
    page.text("DELAYED BY", &causes_in_words(&causes(report)), 6, 1);
    for (index, waiter) in in_order(&verdict.waiters).into_iter().take(3).enumerate() {
        let label = if index == 0 { "AFFECTED" } else { "" };
        page.text(label, &self::waiter(waiter), 5 + 4 * index, 1);
    }
    page.text("WHY", &why(report), 10, 1);
    page.text("LESS SURE", &less_sure(report), 7, 1);
    page.text("LOST", &lost_that_matters(report), 2, 1);
    let now: Vec<&Advice> = of(report, AdviceWhen::Now).collect();
    for (index, advice) in now.iter().enumerate() {
        let label = if index == 0 { "NOW" } else { "" };
        page.advice(label, advice, if index == 0 { 3 } else { LATER });
    }
    if now.is_empty()
        && let Some(advice) = of(report, AdviceWhen::ToConfirm).next()
    {
        page.advice("TO CONFIRM", advice, LATER);
    }
    if let Some(advice) = of(report, AdviceWhen::ForGood).next() {
        page.text("PREVENT", &advice.text, 8, 1);
    }
    let written_to = written_to.unwrap_or_default();
    page.text("REPORT", written_to, 2, 1);
    page.text("MORE", &more(written_to, page.cells - LABEL), LATER, 1);
    page.into_text()
}

fn of(report: &Report, when: AdviceWhen) -> impl Iterator<Item = &Advice> {
    let advice = report.verdict.advice.iter();
    advice.filter(move |advice| advice.when == when)
}

/// VMs first, then as they are.
pub(super) fn in_order(waiters: &[Waiter]) -> Vec<&Waiter> {
    let mut all: Vec<&Waiter> = waiters.iter().collect();
    all.sort_by_key(|waiter| waiter.party.kind != PartyKind::Vm);
    all
}

/// How to see all of it; a name that a shell would read otherwise is left to the reader.
fn more(path: &str, room: usize) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:".contains(c);
    let command = format!("stall-agent report {path}");
    if path.is_empty() || !path.chars().all(is_plain) || command.len() > room {
        return String::new();
    }
    command
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

/// The disk, and since when it waited.
fn place(report: &Report) -> String {
    let verdict = &report.verdict;
    let Some(device) = &verdict.device else {
        return since(report).unwrap_or_default();
    };
    let mut text = match verdict.mount_points.as_slice() {
        [] => device.clone(),
        [one] => format!("{device}, {one}"),
        [first, more @ ..] => format!("{device}, {first} and {} more", more.len()),
    };
    if let Some(since) = since(report) {
        text += &format!("; {since}");
    }
    text
}

/// `from 2026-11-24 03:19:55 UTC for 3.16 s`, `since 2026-11-24 03:19:55 UTC, 6.00 s and not over`
fn since(report: &Report) -> Option<String> {
    let episode = report.verdict.episodes.first()?;
    let length = duration(episode.end_ns.saturating_sub(episode.start_ns));
    let start = moment(&episode.started_at);
    Some(match episode.ended_at {
        Some(_) => format!("from {start} for {length}"),
        None => format!("since {start}, for {length} and not over"),
    })
}

/// RFC 3339 to the second, as people write it.
pub(crate) fn moment(rfc3339: &str) -> String {
    let seconds = rfc3339.split('.').next().unwrap_or(rfc3339);
    format!(
        "{} UTC",
        seconds.trim_end_matches('Z').replacen('T', " ", 1)
    )
}

/// What tells a person most, in this order; shares stand in a line of their own.
const TELLING: [Fact; 4] = [
    Fact::ExposedSlow,
    Fact::WaitRatio,
    Fact::Consistency,
    Fact::SlowRequests,
];

/// The measured facts that tell most, where somebody did it.
pub(crate) fn why(report: &Report) -> String {
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
    facts.truncate(3);
    facts.join("; ")
}

fn asleep(report: &Report) -> Option<String> {
    let mut sleeps = report
        .verdict
        .culprits
        .iter()
        .filter_map(|culprit| culprit.sleep.as_ref());
    let sleep = sleeps.next()?;
    let (total, before) = (duration(sleep.total_ns), duration(sleep.before_ns));
    Some(match sleep.before_ns {
        0 => format!("it was blocked (D state) for {total}"),
        _ => format!("it was blocked (D state) for {total}, {before} of it before the trace"),
    })
}

/// An outstanding request of this age is worth telling beside others that were slow.
pub(super) const OLD_NS: u64 = 1_000_000_000;

/// One that waited, with how much. What had not ended is not counted among what was slow: it is told by its age.
pub(super) fn waiter(waiter: &Waiter) -> String {
    let mut parts = Vec::new();
    let lost = waiter.party.lost_ns.filter(|ns| *ns > 0);
    let excess = waiter.excess_ns.and_then(|ns| u64::try_from(ns).ok());
    if let Some(lost) = lost.or(excess) {
        parts.push(format!("waited {}", duration(lost)));
    }
    if waiter.slow_ops > 0 || (waiter.ops > 0 && waiter.unfinished_ops == 0) {
        parts.push(format!(
            "{} of {} requests slow",
            thousands(waiter.slow_ops),
            thousands(waiter.ops)
        ));
    }
    // What was just on its way when the trace ended says nothing.
    let old = waiter.oldest_unfinished_ns.is_none_or(|age| age >= OLD_NS);
    if waiter.unfinished_ops > 0 && (old || waiter.slow_ops == 0) {
        let plural = if waiter.unfinished_ops == 1 { "" } else { "s" };
        let age = waiter.oldest_unfinished_ns.map(duration);
        let age = age.map_or_else(String::new, |age| format!(" for {age}"));
        let count = thousands(waiter.unfinished_ops);
        parts.push(format!("{count} request{plural} outstanding{age}"));
    }
    if let Some(blocked) = waiter.blocked_ns.filter(|ns| *ns > 0) {
        parts.push(format!("blocked (D state) {}", duration(blocked)));
    }
    format!("{}: {}", waiter.label, parts.join(", "))
}

fn less_sure(report: &Report) -> String {
    let lowered = report.verdict.lowered.iter();
    let texts: Vec<&str> = lowered.map(|one| one.text.as_str()).collect();
    texts.join("; ")
}

/// Nothing, unless it could have changed the answer.
fn lost_that_matters(report: &Report) -> String {
    let losses = &report.losses;
    let shares = [
        losses.request_share,
        losses.record_share,
        losses.sleep_share,
    ];
    let lowered = report.verdict.lowered.iter();
    let mut by_loss = lowered.filter(|one| one.by != LoweredBy::ShortWindow);
    let matters = shares.into_iter().any(|share| share >= LOST)
        || by_loss.next().is_some()
        || matches!(report.verdict.kind, Kind::Inconclusive | Kind::NotVisible);
    if matters { lost(report) } else { String::new() }
}

/// What was not measured, and what this kernel does not tell.
pub fn lost(report: &Report) -> String {
    let gaps = match report.coverage_gaps.as_slice() {
        [] => String::new(),
        [one] => format!("; on this kernel {}", one.lack),
        more => format!("; {} gaps of this kernel (coverage_gaps)", more.len()),
    };
    by_cause(report) + &gaps
}

fn by_cause(report: &Report) -> String {
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

/// Lines that belong together.
struct Section {
    label: &'static str,
    /// Already escaped.
    text: String,
    /// Below the text, with their indent.
    command: Vec<String>,
    /// Lines of the text, when none is cut.
    lines: usize,
    /// 0 is the first to get its lines.
    rank: usize,
    /// With fewer it is left out.
    least: usize,
}

struct Page {
    sections: Vec<Section>,
    cells: usize,
}

impl Page {
    const fn new(cells: usize) -> Self {
        Self {
            sections: Vec::new(),
            cells,
        }
    }

    /// A label and a text, of which at least so many lines are worth showing; nothing when there is no text.
    fn text(&mut self, label: &'static str, text: &str, rank: usize, least: usize) {
        self.push(label, text, Vec::new(), rank, least);
    }

    /// What to do, and below it what to type: whole, or not at all, since a cut command is another command.
    fn advice(&mut self, label: &'static str, advice: &Advice, rank: usize) {
        let command = advice.command.as_ref();
        let command = command.map_or_else(Vec::new, |command| {
            shell::lines(&escape(command), LABEL, self.cells)
        });
        self.push(label, &advice.text, command, rank, usize::MAX);
    }

    fn push(
        &mut self,
        label: &'static str,
        text: &str,
        command: Vec<String>,
        rank: usize,
        least: usize,
    ) {
        let text = escape(text);
        let lines = wrap(&text, self.cells - LABEL, usize::MAX).len();
        self.sections.push(Section {
            label,
            text,
            least: least.min(lines + command.len()),
            command,
            lines,
            rank,
        });
    }

    /// Each section its least lines, then the rest of them, both by rank; then what is shown only where there is room.
    fn into_text(self) -> String {
        let mut order: Vec<usize> = (0..self.sections.len()).collect();
        order.sort_by_key(|index| self.sections[*index].rank);
        let (first, later): (Vec<usize>, Vec<usize>) = order
            .into_iter()
            .partition(|index| self.sections[*index].rank < LATER);
        let mut given = vec![0; self.sections.len()];
        let mut left = LINES;
        for index in &first {
            let least = self.sections[*index].least;
            if least <= left {
                given[*index] = least;
                left -= least;
            }
        }
        for index in &first {
            let all = self.sections[*index].all();
            if given[*index] > 0 {
                let more = all.saturating_sub(given[*index]).min(left);
                given[*index] += more;
                left -= more;
            }
        }
        for index in &later {
            let all = self.sections[*index].all();
            if all <= left {
                given[*index] = all;
                left -= all;
            }
        }
        let room = self.cells - LABEL;
        let shown = self.sections.iter().zip(given);
        shown
            .map(|(section, given)| section.shown(given, room))
            .collect()
    }
}

impl Section {
    const fn all(&self) -> usize {
        self.lines + self.command.len()
    }

    fn shown(&self, lines: usize, room: usize) -> String {
        if lines == 0 {
            return String::new();
        }
        let texts = wrap(&self.text, room, lines - self.command.len());
        let labels = std::iter::once(self.label).chain(std::iter::repeat(""));
        let texts = texts.into_iter().zip(labels);
        let texts = texts.map(|(line, label)| format!("{label:<LABEL$}{line}"));
        let all: Vec<String> = texts.chain(self.command.iter().cloned()).collect();
        all.join("\n") + "\n"
    }
}
