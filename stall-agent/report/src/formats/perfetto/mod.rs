//! A trace for ui.perfetto.dev: what each disk did, which threads were blocked, and who delayed whom, on one axis of time.
//!
//! With the capture that the report carries it has every request that was recorded one by one; without, the slowest.

mod proto;
mod requests;

use std::time::UNIX_EPOCH;

use prost::Message as _;

use self::proto::{
    Clock, ClockSnapshot, CounterDescriptor, DebugAnnotation, EXPLICIT, Trace, TracePacket,
    TrackDescriptor, TrackEvent, clock, kind,
};
use self::requests::{Slice, slices};
use crate::Report;
use crate::incident::incident;
use crate::model::{BlockedTask, Interval};
use crate::text::{escape, word};

/// Of all packets: they come from one writer.
const SEQUENCE: u32 = 1;

/// The bytes of the trace.
#[must_use]
pub fn perfetto(report: &Report) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.packets.push(clocks(report));
    verdict(&mut writer, report);
    let slices = slices(report);
    for (rank, device) in report.devices.iter().enumerate() {
        let of_device: Vec<&Slice> = slices
            .iter()
            .filter(|slice| slice.device == device.id)
            .collect();
        let counts = |interval: &Interval| {
            interval
                .operations
                .iter()
                .any(|row| row.device == device.id)
        };
        if !of_device.is_empty() || report.intervals.iter().any(counts) {
            disk(&mut writer, report, &device.id, &of_device, rank);
        }
    }
    blocked(&mut writer, report);
    let trace = Trace {
        packet: writer.packets,
    };
    trace.encode_to_vec()
}

/// One moment on three clocks: times in the trace are of `CLOCK_MONOTONIC`, and a person reads wall clock.
fn clocks(report: &Report) -> TracePacket {
    let window = &report.window;
    let start = humantime::parse_rfc3339(&window.start).ok();
    let since = start.and_then(|start| start.duration_since(UNIX_EPOCH).ok());
    let unix_ns = since.map(|since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX));
    let mut clocks = vec![
        (clock::MONOTONIC, window.start_ns),
        (
            clock::BOOTTIME,
            window.start_ns.saturating_add(window.suspended_ns),
        ),
    ];
    clocks.extend(unix_ns.map(|ns| (clock::REALTIME, ns)));
    let clocks = clocks.into_iter().map(|(id, ns)| Clock {
        clock_id: Some(id),
        timestamp: Some(ns),
    });
    TracePacket {
        clock_snapshot: Some(ClockSnapshot {
            clocks: clocks.collect(),
            primary_trace_clock: Some(clock::BOOTTIME),
        }),
        trusted_packet_sequence_id: Some(SEQUENCE),
        ..TracePacket::default()
    }
}

/// What waited for one cause each.
fn verdict(writer: &mut Writer, report: &Report) {
    let title = incident(report).title;
    let track = writer.track(None, &title, 0);
    for episode in &report.verdict.episodes {
        let event = Event {
            name: word(&episode.kind),
            category: "verdict",
            arguments: vec![("sentence", Value::Text(episode.sentence.clone()))],
            ..Event::default()
        };
        // Episodes may overlap; slices of one track may not.
        let own = writer.track(Some(track), "episode", 0);
        writer.slice(own, episode.start_ns, episode.end_ns, event);
    }
}

fn disk(writer: &mut Writer, report: &Report, id: &str, slices: &[&Slice], rank: usize) {
    let rank = i32::try_from(rank).unwrap_or(i32::MAX - 1);
    let disk = writer.track(None, &format!("disk {id}"), rank.saturating_add(1));
    for (place, (is_discard, name)) in [(false, "requests"), (true, "discards")]
        .into_iter()
        .enumerate()
    {
        let mut lanes: Vec<(u64, u64)> = Vec::new();
        for slice in slices.iter().filter(|slice| slice.is_discard == is_discard) {
            let free = lanes.iter().position(|(_, end)| *end <= slice.start_ns);
            let lane = free.unwrap_or_else(|| {
                let rank = i32::try_from(place).unwrap_or(0);
                lanes.push((writer.track(Some(disk), name, rank), 0));
                lanes.len() - 1
            });
            lanes[lane].1 = slice.end_ns;
            writer.slice(lanes[lane].0, slice.start_ns, slice.end_ns, request(slice));
        }
    }
    counters(writer, report, id, disk);
}

fn request(slice: &Slice) -> Event {
    Event {
        name: format!("{}: {}", word(&slice.op), slice.label),
        category: if slice.is_discard {
            "discard"
        } else {
            "request"
        },
        arguments: vec![
            ("bytes", Value::Number(slice.bytes)),
            ("tid", Value::Number(slice.tid.into())),
            ("state", Value::Text(slice.state.to_owned())),
        ],
        begins: slice.begins.clone(),
        ends: slice.ends.clone(),
    }
}

/// From one snapshot to the next.
fn counters(writer: &mut Writer, report: &Report, id: &str, disk: u64) {
    type Value = fn(&Interval, &str) -> f64;
    let seconds =
        |interval: &Interval| interval.end_ns.saturating_sub(interval.start_ns).max(1) as f64 / 1e9;
    let kinds: [(&str, &str, Value); 4] = [
        ("IOPS", "1/s", |interval, id| {
            rows(interval, id).map(|row| row.ops as f64).sum()
        }),
        ("throughput", "MB/s", |interval, id| {
            rows(interval, id).map(|row| row.bytes as f64 / 1e6).sum()
        }),
        ("p99 of the slowest operation", "ms", |interval, id| {
            let p99 = rows(interval, id).map(|row| row.p99_ns as f64 / 1e6);
            p99.fold(0.0, f64::max)
        }),
        ("discards in flight", "% of the time", |interval, id| {
            let mut discards = interval.discards.iter();
            let of_disk = discards.find(|row| row.device == id);
            of_disk.and_then(|row| row.busy_share).unwrap_or(0.0) * 100.0
        }),
    ];
    for (rank, (name, unit, value)) in kinds.into_iter().enumerate() {
        let rank = i32::try_from(rank + 2).unwrap_or(0);
        let track = writer.counter(disk, name, unit, rank);
        let is_rate = rank < 4;
        for interval in &report.intervals {
            let per = if is_rate { seconds(interval) } else { 1.0 };
            writer.count(track, interval.start_ns, value(interval, id) / per);
        }
        if let Some(last) = report.intervals.last() {
            writer.count(track, last.end_ns, 0.0);
        }
    }
}

fn rows<'a>(
    interval: &'a Interval,
    id: &'a str,
) -> impl Iterator<Item = &'a crate::model::IntervalDevice> {
    interval
        .operations
        .iter()
        .filter(move |row| row.device == id)
}

/// A track for each thread with a sleep that was recorded.
fn blocked(writer: &mut Writer, report: &Report) {
    let shown = |task: &&BlockedTask| !task.long_sleeps.is_empty() || task.unfinished.is_some();
    let mut tasks = report.blocked.iter().filter(shown).peekable();
    if tasks.peek().is_none() {
        return;
    }
    let all = writer.track(None, "blocked (D state)", i32::MAX);
    for task in tasks {
        let track = writer.track(Some(all), &format!("{} tid {}", task.label, task.tid), 0);
        let mut sleeps: Vec<(u64, u64, String, Option<usize>)> = task
            .long_sleeps
            .iter()
            .map(|one| (one.start_ns, one.end_ns, word(&one.reason), one.stack))
            .collect();
        sleeps.extend(task.unfinished.as_ref().map(|one| {
            let end = one.start_ns.saturating_add(one.age_ns);
            (
                one.start_ns,
                end,
                format!("{}, not over", word(&one.reason)),
                one.stack,
            )
        }));
        sleeps.sort_unstable();
        for (start, end, name, stack) in sleeps {
            let frames = stack.and_then(|index| report.stacks.get(index));
            let frames = frames.map(|stack| {
                let names = stack
                    .frames
                    .iter()
                    .map(|frame| frame.as_deref().unwrap_or("?"));
                names.collect::<Vec<_>>().join("\n")
            });
            let event = Event {
                name,
                category: "blocked",
                arguments: frames
                    .map(|text| ("stack", Value::Raw(text)))
                    .into_iter()
                    .collect(),
                ..Event::default()
            };
            writer.slice(track, start, end, event);
        }
    }
}

enum Value {
    Number(u64),
    /// Foreign.
    Text(String),
    /// With line feeds of our own.
    Raw(String),
}

#[derive(Default)]
struct Event {
    name: String,
    category: &'static str,
    arguments: Vec<(&'static str, Value)>,
    /// Arrows that begin or end here.
    begins: Vec<u64>,
    ends: Vec<u64>,
}

#[derive(Default)]
struct Writer {
    packets: Vec<TracePacket>,
    last_track: u64,
}

impl Writer {
    fn track(&mut self, parent: Option<u64>, name: &str, rank: i32) -> u64 {
        self.describe(parent, name, rank, None)
    }

    fn counter(&mut self, parent: u64, name: &str, unit: &str, rank: i32) -> u64 {
        let counter = CounterDescriptor {
            unit_name: Some(unit.to_owned()),
        };
        self.describe(Some(parent), name, rank, Some(counter))
    }

    fn describe(
        &mut self,
        parent: Option<u64>,
        name: &str,
        rank: i32,
        counter: Option<CounterDescriptor>,
    ) -> u64 {
        self.last_track += 1;
        self.packets.push(TracePacket {
            trusted_packet_sequence_id: Some(SEQUENCE),
            track_descriptor: Some(TrackDescriptor {
                uuid: Some(self.last_track),
                name: Some(escape(name)),
                parent_uuid: parent,
                child_ordering: counter.is_none().then_some(EXPLICIT),
                counter,
                sibling_order_rank: Some(rank),
            }),
            ..TracePacket::default()
        });
        self.last_track
    }

    fn slice(&mut self, track: u64, start_ns: u64, end_ns: u64, event: Event) {
        let arguments = event.arguments.into_iter().map(|(name, value)| {
            let (number, text) = match value {
                Value::Number(number) => (Some(number), None),
                Value::Text(text) => (None, Some(escape(&text))),
                Value::Raw(text) => (None, Some(text)),
            };
            DebugAnnotation {
                uint_value: number,
                string_value: text,
                name: Some(name.to_owned()),
            }
        });
        let begin = TrackEvent {
            r#type: Some(kind::BEGIN),
            debug_annotations: arguments.collect(),
            track_uuid: Some(track),
            categories: vec![event.category.to_owned()],
            name: Some(escape(&event.name)),
            flow_ids: event.begins,
            terminating_flow_ids: event.ends,
            ..TrackEvent::default()
        };
        let end = TrackEvent {
            r#type: Some(kind::END),
            track_uuid: Some(track),
            ..TrackEvent::default()
        };
        self.event(start_ns, begin);
        self.event(end_ns.max(start_ns), end);
    }

    fn count(&mut self, track: u64, at_ns: u64, value: f64) {
        self.event(
            at_ns,
            TrackEvent {
                r#type: Some(kind::COUNTER),
                track_uuid: Some(track),
                double_counter_value: Some(value),
                ..TrackEvent::default()
            },
        );
    }

    fn event(&mut self, at_ns: u64, event: TrackEvent) {
        self.packets.push(TracePacket {
            timestamp: Some(at_ns),
            timestamp_clock_id: Some(clock::MONOTONIC),
            trusted_packet_sequence_id: Some(SEQUENCE),
            track_event: Some(event),
            ..TracePacket::default()
        });
    }
}
