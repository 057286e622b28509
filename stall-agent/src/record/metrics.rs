//! Counters for Prometheus, as OpenMetrics text for node_exporter's text files: `docs/recorder.md` has the names. Pure.
//!
//! Contract: nothing here has a pid, so that the number of series is bounded by the VMs, volumes and disks there are; no time stamps,
//! for which node_exporter refuses a whole file.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use stall_capture::command::{self, Command};
use stall_capture::{Capture, Op};
use stall_common::histogram::middle;
use stall_report::model::Confidence;

use super::line::{Line, State, Who, kind_name};
use super::slice::Slice;

/// Bounds of a histogram: 0.5 ms and each power of two up to 16 s.
const BOUNDS: usize = 16;
const LEAST_NS: u64 = 500_000;
const NS: f64 = 1e9;
/// Rows of one metric, beyond which new ones are left out.
const MOST_ROWS: usize = 2_000;

/// All counters since the recorder began.
#[derive(Debug, Default)]
pub struct Metrics {
    requests: BTreeMap<(Owner, String, Op), Durations>,
    discards_ns: BTreeMap<String, u64>,
    lost: BTreeMap<String, u64>,
    incidents: BTreeMap<(String, String, String), u64>,
    blamed_ns: BTreeMap<(Who, Who, String, String), f64>,
    last_incident: Option<f64>,
}

/// Whose requests: a VM, or everything on the device.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Owner {
    namespace: String,
    name: String,
    volume: String,
}

#[derive(Clone, Debug, Default)]
struct Durations {
    buckets: [u64; BOUNDS + 1],
    total_ns: u64,
}

impl Metrics {
    /// What happened in a slice; `names` says whose it was.
    pub fn count(&mut self, slice: &Slice, names: &Capture) {
        let disks: BTreeMap<u16, _> = names
            .disks
            .iter()
            .filter_map(|disk| Some((disk.index?, disk)))
            .collect();
        let vms: BTreeMap<u32, command::Vm> = names
            .actors
            .iter()
            .filter_map(|actor| match command::read(actor.process.as_ref()?)? {
                Command::Vm(vm) => Some((actor.id, vm)),
                _ => None,
            })
            .collect();
        for used in &slice.sums.uses {
            let (Some(vm), Some(disk)) = (vms.get(&used.actor), disks.get(&used.disk)) else {
                continue;
            };
            let facts = disk.facts.as_ref();
            let target = facts.and_then(|facts| facts.iscsi_target.as_deref());
            let volume = target.and_then(|target| target.rsplit_once(':'));
            let owner = Owner {
                namespace: vm.namespace.clone().unwrap_or_default(),
                name: vm.name.clone().unwrap_or_default(),
                volume: volume.map_or(String::new(), |(_, volume)| volume.to_owned()),
            };
            let counts = used
                .exposed_latency
                .0
                .iter()
                .chain(&used.unexposed_latency.0);
            self.add((owner, disk.name.clone(), used.op), counts, used.total_ns);
        }
        for series in &slice.sums.series {
            if let Some(disk) = disks.get(&series.disk) {
                let key = (Owner::default(), disk.name.clone(), series.op);
                self.add(key, series.total.0.iter(), series.total_ns);
            }
        }
        for row in slice
            .intervals
            .iter()
            .flat_map(|interval| &interval.discards)
        {
            if let Some(disk) = disks.get(&row.disk) {
                *self.discards_ns.entry(disk.name.clone()).or_default() += row.busy_ns;
            }
        }
        for loss in &slice.sums.loss {
            *self.lost.entry(loss.cause.clone()).or_default() += loss.count;
        }
    }

    /// An incident that has ended, at this wall clock.
    pub fn incident(&mut self, line: &Line, unix_seconds: f64) {
        if line.state == State::Open {
            return;
        }
        let device = line.device.clone().unwrap_or_default();
        let confidence = match line.confidence {
            Some(Confidence::High) => "high",
            Some(Confidence::Medium) => "medium",
            Some(Confidence::Low) => "low",
            None => "none",
        };
        let kind = kind_name(line.kind);
        let key = (kind.clone(), confidence.to_owned(), device.clone());
        *self.incidents.entry(key).or_default() += 1;
        self.last_incident = Some(unix_seconds);
        if let Some(culprit) = line.culprits.first() {
            for victim in &line.victims {
                let key = (
                    victim.clone(),
                    culprit.clone(),
                    kind.clone(),
                    device.clone(),
                );
                if self.blamed_ns.len() < MOST_ROWS || self.blamed_ns.contains_key(&key) {
                    // What each lost is in the report; in a line there is the sum.
                    let part = line.lost_ns as f64 / line.victims.len() as f64;
                    *self.blamed_ns.entry(key).or_default() += part;
                }
            }
        }
    }

    fn add<'a>(
        &mut self,
        key: (Owner, String, Op),
        counts: impl Iterator<Item = &'a (u16, u64)>,
        total_ns: u64,
    ) {
        if self.requests.len() >= MOST_ROWS && !self.requests.contains_key(&key) {
            return;
        }
        let row = self.requests.entry(key).or_default();
        row.total_ns = row.total_ns.saturating_add(total_ns);
        for (bucket, count) in counts {
            let ns = middle(usize::from(*bucket));
            let above = (0..BOUNDS).find(|place| ns <= LEAST_NS << place);
            row.buckets[above.unwrap_or(BOUNDS)] += count;
        }
    }

    /// As it is written. `incidents` are those that are kept.
    #[must_use]
    pub fn text(&self) -> String {
        let mut page = Page::default();
        page.family("stall_agent_vm_request_duration_seconds", "histogram");
        page.histograms(
            self.requests
                .iter()
                .filter(|(key, _)| key.0 != Owner::default()),
        );
        page.family("stall_agent_request_duration_seconds", "histogram");
        page.histograms(
            self.requests
                .iter()
                .filter(|(key, _)| key.0 == Owner::default()),
        );
        page.family("stall_agent_discard_in_flight_seconds", "counter");
        for (device, ns) in &self.discards_ns {
            page.row("_total", &[("device", device)], *ns as f64 / NS);
        }
        page.family("stall_agent_blamed_seconds", "counter");
        for ((victim, culprit, kind, device), ns) in &self.blamed_ns {
            let namespace = |who: &Who| who.namespace.clone().unwrap_or_default();
            let labels = [
                ("victim_namespace", namespace(victim)),
                ("victim_name", victim.name.clone()),
                ("culprit_namespace", namespace(culprit)),
                ("culprit", culprit.name.clone()),
                ("kind", kind.clone()),
                ("device", device.clone()),
            ];
            let labels: Vec<_> = labels
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            page.row("_total", &labels, ns / NS);
        }
        page.family("stall_agent_incidents", "counter");
        for ((kind, confidence, device), count) in &self.incidents {
            let labels = [
                ("kind", kind.as_str()),
                ("confidence", confidence),
                ("device", device),
            ];
            page.row("_total", &labels, *count as f64);
        }
        page.family("stall_agent_last_incident_timestamp_seconds", "gauge");
        if let Some(seconds) = self.last_incident {
            page.row("", &[], seconds);
        }
        page.family("stall_agent_lost", "counter");
        for (cause, count) in &self.lost {
            page.row("_total", &[("cause", cause)], *count as f64);
        }
        page.family("stall_agent_build", "info");
        page.row("_info", &[("version", env!("STALL_AGENT_VERSION"))], 1.0);
        page.text.push_str("# EOF\n");
        page.text
    }
}

#[derive(Default)]
struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    fn family(&mut self, name: &'static str, kind: &str) {
        self.family = name;
        // node_exporter reads the older format, which knows no info.
        let (name, kind) = match kind {
            "info" => (format!("{name}_info"), "gauge"),
            "counter" => (format!("{name}_total"), kind),
            _ => (name.to_owned(), kind),
        };
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
    }

    fn row(&mut self, suffix: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _ = writeln!(self.text, "{}{suffix}{labels} {value}", self.family);
    }

    fn histograms<'a>(
        &mut self,
        rows: impl Iterator<Item = (&'a (Owner, String, Op), &'a Durations)>,
    ) {
        for ((owner, device, op), row) in rows {
            let op = serde_json::to_value(op).ok();
            let op = op
                .as_ref()
                .and_then(serde_json::Value::as_str)
                .unwrap_or("");
            let mut labels = Vec::new();
            if *owner != Owner::default() {
                labels.extend([
                    ("namespace", owner.namespace.as_str()),
                    ("name", &owner.name),
                    ("volume", &owner.volume),
                ]);
            }
            labels.extend([("device", device.as_str()), ("op", op)]);
            let mut sum = 0;
            for (place, count) in row.buckets.iter().enumerate() {
                sum += count;
                let bound = if place == BOUNDS {
                    "+Inf".to_owned()
                } else {
                    ((LEAST_NS << place) as f64 / NS).to_string()
                };
                let mut labels = labels.clone();
                labels.push(("le", &bound));
                self.row("_bucket", &labels, sum as f64);
            }
            self.row("_count", &labels, sum as f64);
            self.row("_sum", &labels, row.total_ns as f64 / NS);
        }
    }
}

/// Names are foreign text.
fn escaped(value: &str) -> String {
    let mut safe = String::new();
    for c in value.chars() {
        match c {
            '\\' => safe.push_str("\\\\"),
            '"' => safe.push_str("\\\""),
            '\n' => safe.push_str("\\n"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_names_stay_in_their_label() {
        let mut metrics = Metrics::default();
        metrics.lost.insert("a\"b\\c\nd".to_owned(), 7);
        let text = metrics.text();
        assert!(
            text.contains("stall_agent_lost_total{cause=\"a\\\"b\\\\c\\nd\"} 7\n"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"));
        let is_whole = |line: &str| line.starts_with("# ") || line.starts_with("stall_agent_");
        assert!(text.lines().all(is_whole), "{text}");
    }

    #[test]
    fn durations_are_counted_up_to_each_bound() {
        use stall_common::histogram::bucket;
        let mut metrics = Metrics::default();
        let counts = [
            (bucket(300_000) as u16, 2),
            (bucket(3_000_000) as u16, 5),
            (bucket(90_000_000_000) as u16, 1),
        ];
        let key = (Owner::default(), "sda".to_owned(), Op::Read);
        metrics.add(key, counts.iter(), 4_000_000_000);
        let text = metrics.text();
        let row = |le: &str| {
            format!(
                "stall_agent_request_duration_seconds_bucket{{device=\"sda\",op=\"read\",le=\"{le}\"}}"
            )
        };
        for (le, count) in [
            ("0.0005", 2),
            ("0.002", 2),
            ("0.004", 7),
            ("16.384", 7),
            ("+Inf", 8),
        ] {
            assert!(
                text.contains(&format!("{} {count}\n", row(le))),
                "{le}: {text}"
            );
        }
        assert!(
            text.contains("duration_seconds_sum{device=\"sda\",op=\"read\"} 4\n"),
            "{text}"
        );
    }
}
