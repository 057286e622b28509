//! One frame: what there is so far on as many cells as there are, the most important first.
//!
//! Contract: anything from one cell up is a size; no colour where it is not wanted, and none says what words do not.

use std::time::Duration;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use super::look::Told;
use super::model::Model;
use super::table::{Column, Table, text};
use crate::progress::clock;
use stall_report::{Paint, cut, escape, width, wrap};

/// Lines of the verdict's sentence.
const SENTENCE: usize = 4;

/// What is drawn.
pub(super) struct Scene<'a> {
    /// What is traced.
    pub(super) title: &'a str,
    pub(super) told: Told,
    /// `None` before the first interval has been judged.
    pub(super) model: Option<&'a Model>,
    /// Somebody has left, and the report is being written.
    pub(super) is_left: bool,
    pub(super) paint: Paint,
}

const fn left(title: &'static str, room: u16, from: u16) -> Column {
    Column {
        title,
        room,
        is_right: false,
        from,
    }
}

const fn right(title: &'static str, room: u16, from: u16) -> Column {
    Column {
        is_right: true,
        ..left(title, room, from)
    }
}

const DISKS: [Column; 7] = [
    left("DISK", 11, 0),
    right("per s", 7, 60),
    right("mean", 7, 0),
    right("99 %", 7, 70),
    right("longest", 7, 0),
    right("waiting", 12, 56),
    right("discards", 11, 0),
];
const DISCARDS: [Column; 6] = [
    right("DISCARDS", 8, 0),
    right("oldest", 7, 50),
    right("ended", 7, 90),
    right("each", 7, 70),
    left("disk", 8, 60),
    left("whose", 0, 0),
];
const BLOCKED: [Column; 4] = [
    right("IN D NOW", 8, 0),
    right("so far", 7, 60),
    left("for", 18, 36),
    left("who", 0, 0),
];

/// Colour is for those who want it (no-color.org).
pub(super) fn paint() -> Paint {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if unwanted {
        Paint::Plain
    } else {
        Paint::Colour
    }
}

/// What is traced, in words.
pub(super) fn title(devices: &[String], interval: Duration) -> String {
    let devices = if devices.is_empty() {
        "all disks".to_owned()
    } else {
        escape(&devices.join(" "))
    };
    let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
    format!("{devices}, every {}", stall_report::duration(interval))
}

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, scene: &Scene<'_>) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    let (head, rest) = split(area, 1);
    header(buffer, head, scene);
    let (rest, foot) = split(rest, rest.height.saturating_sub(1));
    footer(buffer, foot, scene);
    match scene.model {
        Some(model) => body(buffer, rest, model, scene.paint),
        None => text(buffer, rest, waiting(scene), Style::new()),
    }
}

fn waiting(scene: &Scene<'_>) -> &'static str {
    if scene.is_left {
        ""
    } else {
        "Tracing; first results after the first interval."
    }
}

/// The upper so many lines, and the others.
fn split(area: Rect, lines: u16) -> (Rect, Rect) {
    let lines = lines.min(area.height);
    let upper = Rect {
        height: lines,
        ..area
    };
    let lower = Rect {
        y: area.y + lines,
        height: area.height - lines,
        ..area
    };
    (upper, lower)
}

/// A bar that fills as time goes by.
fn header(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>) {
    let told = &scene.told;
    let time = match told.left {
        Some(left) => format!("{} left of {} ", clock(left), clock(told.elapsed + left)),
        None => format!("for {} ", clock(told.elapsed)),
    };
    let host = scene.model.and_then(|model| model.host.as_deref());
    let host = host.map_or_else(String::new, |host| format!(" on {host}"));
    let name = format!(" stall-agent{host}: {}", scene.title);
    let bold = Style::new().add_modifier(Modifier::BOLD);
    two(buffer, area, (&name, &time), bold);
    let full = f64::from(area.width) * told.part().unwrap_or(1.0);
    let full = Rect {
        width: (full.round() as u16).min(area.width),
        ..area
    };
    buffer.set_style(full, Style::new().add_modifier(Modifier::REVERSED));
    buffer.set_style(area, Style::new().add_modifier(Modifier::UNDERLINED));
}

fn footer(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>) {
    let lost = scene.model.map_or("nothing yet", |model| &model.lost);
    let keys = match (scene.is_left, area.width >= 60) {
        (true, true) => "ending: writing the report",
        (true, false) => "ending",
        (false, true) => "q ends it and writes the report",
        (false, false) => "q ends it",
    };
    let style = Style::new().add_modifier(Modifier::REVERSED);
    two(
        buffer,
        area,
        (&format!(" lost: {lost}"), &format!("{keys} ")),
        style,
    );
    buffer.set_style(area, style);
}

/// One text on the left, which gives way to one on the right.
fn two(buffer: &mut Buffer, area: Rect, (on_left, on_right): (&str, &str), style: Style) {
    let room = usize::from(area.width);
    let on_right = cut(on_right, room);
    let of_right = width(&on_right);
    let on_left = cut(on_left, room.saturating_sub(of_right + 1));
    text(buffer, area, &on_left, style);
    let at = Rect {
        x: area.x + (room - of_right) as u16,
        width: of_right as u16,
        ..area
    };
    text(buffer, at, &on_right, style);
}

/// The verdict as it stands, then disks, discards and blocked tasks, which share what is left of the room.
fn body(buffer: &mut Buffer, area: Rect, model: &Model, paint: Paint) {
    let rest = verdict(buffer, area, model, paint);
    let tables = tables(model);
    let wanted = tables.each_ref().map(Table::lines);
    let (lines, gap) = shares(rest.height, wanted);
    let mut rest = rest;
    for (table, lines) in tables.iter().zip(lines) {
        let (own, below) = split(rest, lines);
        table.draw(buffer, own, paint);
        rest = split(below, gap).1;
    }
}

fn verdict(buffer: &mut Buffer, area: Rect, model: &Model, paint: Paint) -> Rect {
    let cells = usize::from(area.width);
    // At least half of the room is for what it rests on.
    let most = usize::from(area.height / 4).clamp(1, SENTENCE);
    let sentence = wrap(&model.sentence, cells, most);
    let (first, mut rest) = split(area, 1);
    let headline = format!("SO FAR: {}", model.headline);
    text(
        buffer,
        first,
        &cut(&headline, cells),
        model.stalled.style(paint),
    );
    for line in sentence {
        text(buffer, rest, &line, Style::new());
        rest = split(rest, 1).1;
    }
    // A blank line where there is room for one.
    split(rest, u16::from(area.height >= 16)).1
}

fn tables(model: &Model) -> [Table<'_>; 3] {
    [
        Table {
            columns: &DISKS,
            rows: model.disks.as_slice(),
            none: "No disk has been used.",
        },
        Table {
            columns: &DISCARDS,
            rows: model.discards.as_slice(),
            none: "No discards in flight or recently.",
        },
        Table {
            columns: &BLOCKED,
            rows: model.blocked.as_slice(),
            none: "No task is or was blocked for long.",
        },
    ]
}

/// Lines for each of what they want, in turns, and whether a line is left between them. A table of one line would be
/// its titles alone.
fn shares(room: u16, wanted: [u16; 3]) -> ([u16; 3], u16) {
    let gap = u16::from(room >= 15);
    let mut left = room.saturating_sub(2 * gap);
    let mut lines = [0u16; 3];
    for (one, wanted) in lines.iter_mut().zip(wanted) {
        let least = wanted.min(2);
        if least <= left {
            *one = least;
            left -= least;
        }
    }
    while left > 0 {
        let before = left;
        for (one, wanted) in lines.iter_mut().zip(wanted) {
            if *one > 0 && *one < wanted && left > 0 {
                *one += 1;
                left -= 1;
            }
        }
        if left == before {
            break;
        }
    }
    (lines, gap)
}

#[cfg(test)]
mod tests;
