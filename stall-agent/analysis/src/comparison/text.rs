//! A comparison for people, in lines of at most 80 columns. Foreign names are escaped.

use super::model::{Change, Comparison, DiskChange, OutcomeKind, Quantile, Run, Suspect, Waiting};
use super::words::{small, time, used};
use stall_report::{duration, escape, share, thousands, wrap};

const WIDTH: usize = 80;
const LABEL: usize = 10;
/// Other disks, machines and parties that are shown: of each kind those that waited longest.
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
        if let Some(disk) = found.disk_of(suspect) {
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
    page.most("DISKS", &other_disks(found));
    page.most("VMS", &vms(found));
    page.most("WAITED", &waited(found));
    page.0.join("\n") + "\n"
}

/// Those beside the suspect's on which the wait changed, the largest change first.
fn other_disks(found: &Comparison) -> Vec<String> {
    let suspects = found.suspect.as_ref();
    let suspects = suspects.and_then(|suspect| found.disk_of(suspect));
    let is_other = |disk: &&DiskChange| suspects.is_none_or(|one| !std::ptr::eq(one, *disk));
    let mut disks: Vec<&DiskChange> = found.disks.iter().filter(is_other).collect();
    disks.retain(|disk| has_changed(&disk.others));
    disks.sort_by(|one, other| size(&other.others).total_cmp(&size(&one.others)));
    let line = |disk: &&DiskChange| {
        let names = [&disk.before_device, &disk.after_device];
        let [before, after] = names.map(|name| name.as_deref().unwrap_or("-"));
        let name = if before == after {
            before.to_owned()
        } else {
            format!("{before}, then {after}")
        };
        format!("{name}: {}", slow_and_mean(&disk.others))
    };
    disks.iter().map(line).collect()
}

/// Whether that can hardly be by chance: the interval of a ratio is on one side of 1.
fn has_changed(waiting: &Waiting) -> bool {
    let risk = waiting.slow.relative_risk.as_ref();
    let risk = risk.map(|risk| (risk.low, risk.high));
    let mean = waiting.mean_ns.low.zip(waiting.mean_ns.high);
    let mut ratios = risk.into_iter().chain(mean);
    ratios.any(|(low, high)| low > 1.0 || high < 1.0)
}

/// By how much the time waited per second changed.
fn size(waiting: &Waiting) -> f64 {
    let Change { before, after, .. } = waiting.waited_ns_per_s;
    (before.unwrap_or(0.0) - after.unwrap_or(0.0)).abs()
}

fn vms(found: &Comparison) -> Vec<String> {
    let mut vms: Vec<_> = found.vms.iter().collect();
    // As many as there are keep their order; of more, those that waited longest are shown.
    if vms.len() > SHOWN {
        let waited = |vm: &super::model::VmChange| vm.waiting.waited_ns_per_s.before.unwrap_or(0.0);
        vms.sort_by(|one, other| waited(other).total_cmp(&waited(one)));
    }
    let line = |vm: &super::model::VmChange| {
        format!("{}: {}", vm.label, brief(&vm.waiting, &vm.blocked_ns_per_s))
    };
    vms.into_iter().map(line).collect()
}

fn waited(found: &Comparison) -> Vec<String> {
    let parties = found.parties.iter();
    let parties = parties.filter(|party| !party.suspect && party.waiting.slow.before.ops > 0);
    let line = |party: &super::model::PartyChange| {
        let brief = brief(&party.waiting, &party.blocked_ns_per_s);
        format!("{}: {brief}", party.label)
    };
    parties.map(line).collect()
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
    let in_d = [blocked.before, blocked.after];
    let [before, after] = in_d.map(|ns| part(ns.map(|ns| ns / 1e9)));
    format!("{}; in D {before}, then {after}", slow_and_mean(waiting))
}

fn slow_and_mean(waiting: &Waiting) -> String {
    let slow = &waiting.slow;
    let [before, after] = [slow.before.slow_share, slow.after.slow_share].map(part);
    let mean = [waiting.mean_ns.before, waiting.mean_ns.after];
    let [mean_before, mean_after] = mean.map(|ns| ns.map_or_else(|| "-".to_owned(), time));
    format!("slow {before}, then {after}; mean {mean_before}, then {mean_after}")
}

fn part(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), share)
}

#[derive(Default)]
struct Page(Vec<String>);

impl Page {
    /// So many of a list; beyond, how many more there are.
    fn most(&mut self, label: &str, lines: &[String]) {
        for (row, line) in lines.iter().take(SHOWN).enumerate() {
            self.section(if row == 0 { label } else { "" }, line, 2);
        }
        if lines.len() > SHOWN {
            self.section("", &format!("and {} more", lines.len() - SHOWN), 1);
        }
    }

    /// A label and a text of at most so many lines.
    fn section(&mut self, label: &str, text: &str, lines: usize) {
        let wrapped = wrap(&escape(text), WIDTH - LABEL, lines);
        for (index, line) in wrapped.into_iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            self.0.push(format!("{label:<LABEL$}{line}"));
        }
    }
}
