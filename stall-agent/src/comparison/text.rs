//! A comparison for people, in lines of at most 80 columns. Foreign names are escaped.

use super::judge::disk_of;
use super::model::{Change, Comparison, OutcomeKind, Quantile, Run, Suspect, Waiting};
use super::words::{small, time, used};
use crate::report::{duration, escape, share, thousands, wrap};

const WIDTH: usize = 80;
const LABEL: usize = 10;
/// Parties that are shown: those that waited longest.
const SHOWN: usize = 5;

/// The comparison as text.
#[must_use]
pub fn text(found: &Comparison) -> String {
    let mut page = Page::default();
    page.section("VERDICT", headline(found.verdict.kind), 1);
    page.section("", &found.verdict.sentence, 6);
    page.section("BEFORE", &run(&found.before), 4);
    page.section("AFTER", &run(&found.after), 4);
    if let Some(suspect) = &found.suspect {
        page.section("SUSPECT", &suspected(suspect), 3);
        if let Some(disk) = disk_of(suspect, found) {
            for (row, line) in waiting(&disk.others).iter().enumerate() {
                page.section(if row == 0 { "OTHERS" } else { "" }, line, 2);
            }
            let reads = disk.operations.iter().flat_map(|row| {
                let name = format!("{:?}", row.op).to_lowercase();
                let rows = row.quantiles.iter().filter(|one| one.per_mille == 990);
                rows.map(move |one| quantile(&name, one))
            });
            for (row, line) in reads.enumerate() {
                page.section(if row == 0 { "99 %" } else { "" }, &line, 2);
            }
        }
    }
    for (row, vm) in found.vms.iter().enumerate() {
        let line = format!("{}: {}", vm.label, brief(&vm.waiting, &vm.blocked_ns_per_s));
        page.section(if row == 0 { "VMS" } else { "" }, &line, 2);
    }
    let waited =
        |change: &&super::model::PartyChange| !change.suspect && change.waiting.slow.before.ops > 0;
    for (row, party) in found.parties.iter().filter(waited).take(SHOWN).enumerate() {
        let line = format!(
            "{}: {}",
            party.label,
            brief(&party.waiting, &party.blocked_ns_per_s)
        );
        page.section(if row == 0 { "WAITED" } else { "" }, &line, 2);
    }
    page.0.join("\n") + "\n"
}

fn headline(kind: OutcomeKind) -> &'static str {
    match kind {
        OutcomeKind::Confirmed => "the cause is confirmed",
        OutcomeKind::NotConfirmed => "the cause is not confirmed",
        OutcomeKind::NotComparable => "the two runs cannot be compared",
    }
}

fn run(run: &Run) -> String {
    format!(
        "{}, {}: {}",
        run.start,
        duration(run.length_ns),
        run.sentence
    )
}

fn suspected(suspect: &Suspect) -> String {
    format!(
        "{} on {}: {} before, {} after",
        suspect.labels.join(", "),
        suspect.before_device,
        used(suspect, suspect.use_per_s.before),
        used(suspect, suspect.use_per_s.after)
    )
}

fn waiting(waiting: &Waiting) -> [String; 4] {
    let slow = &waiting.slow;
    let proportion = |one: &super::model::Proportion| {
        format!("{} of {}", thousands(one.slow_ops), thousands(one.ops))
    };
    let risk = slow.relative_risk.as_ref();
    let risk = risk.map_or_else(String::new, |risk| {
        let batches = match (slow.batches_low, slow.batches_high) {
            (Some(low), Some(high)) => format!("; by batches {} to {}", small(low), small(high)),
            _ => String::new(),
        };
        let [ratio, low, high] = [risk.ratio, risk.low, risk.high].map(small);
        format!(", x {ratio} (95 %: {low} to {high}{batches})")
    });
    [
        format!(
            "slow {}, then {}{risk}",
            proportion(&slow.before),
            proportion(&slow.after)
        ),
        format!("mean {}", change(&waiting.mean_ns, time)),
        format!(
            "waited per second {}",
            change(&waiting.waited_ns_per_s, time)
        ),
        format!("requests per second {}", change(&waiting.ops_per_s, small)),
    ]
}

fn quantile(name: &str, one: &Quantile) -> String {
    let value = |ns: Option<u64>| ns.map(|ns| ns as f64);
    let change = change(
        &Change {
            before: value(one.before.value_ns),
            after: value(one.after.value_ns),
            ratio: one.ratio,
            low: one.low,
            high: one.high,
        },
        time,
    );
    format!("{name} {change}")
}

fn change(change: &Change, unit: fn(f64) -> String) -> String {
    let told = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), unit);
    let ratio = change.ratio.map_or_else(String::new, |ratio| {
        let ends = match (change.low, change.high) {
            (Some(low), Some(high)) => format!(" (95 %: {} to {})", small(low), small(high)),
            (Some(low), None) => format!(" (95 %: from {})", small(low)),
            (None, Some(high)) => format!(" (95 %: up to {})", small(high)),
            (None, None) => String::new(),
        };
        format!(", x {}{ends}", small(ratio))
    });
    format!(
        "{}, then {}{ratio}",
        told(change.before),
        told(change.after)
    )
}

fn brief(waiting: &Waiting, blocked: &Change) -> String {
    let told = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), share);
    let slow = &waiting.slow;
    let [before, after] = [slow.before.slow_share, slow.after.slow_share].map(told);
    let mean = [waiting.mean_ns.before, waiting.mean_ns.after];
    let [mean_before, mean_after] = mean.map(|ns| ns.map_or_else(|| "-".to_owned(), time));
    let in_d = [blocked.before, blocked.after];
    let [d_before, d_after] = in_d.map(|ns| told(ns.map(|ns| ns / 1e9)));
    format!(
        "slow {before}, then {after}; mean {mean_before}, then {mean_after}; in D {d_before}, then {d_after}"
    )
}

#[derive(Default)]
struct Page(Vec<String>);

impl Page {
    /// A label and a text of at most so many lines.
    fn section(&mut self, label: &str, text: &str, lines: usize) {
        let wrapped = wrap(&escape(text), WIDTH - LABEL, lines);
        for (index, line) in wrapped.into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.0.push(format!("{label:<LABEL$}{line}"));
        }
    }
}
