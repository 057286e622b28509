//! Who used a disk over time: each column shared out among the actors whose requests ended in it, by device time.

use std::collections::HashMap;

use maud::{Markup, html};

use super::heat::{WIDTH, stretched};
use super::path::Path;
use super::time_axis::{Column, TimeAxis};
use super::{figure, foreign};
use crate::model::Device;
use crate::{Report, share};

const HEIGHT: f64 = 84.0;
/// Slots of the culprits, which have colours of their own and stripes: the first, and all others.
pub(super) const CULPRITS: usize = 2;
/// Slots in all; the last is all others.
const SLOTS: usize = 9;

pub(super) struct Usage {
    /// Actors by slot; those of the first two are the culprits, the last has none.
    actors: Vec<Vec<u32>>,
    /// Device time by column and slot.
    columns: Vec<[f64; SLOTS]>,
    device: String,
}

impl Usage {
    pub(super) fn new(report: &Report, axis: &TimeAxis, device: &Device) -> Self {
        let actors = slots(report, &device.id);
        let by_actor: HashMap<u32, usize> = actors
            .iter()
            .enumerate()
            .flat_map(|(slot, actors)| actors.iter().map(move |actor| (*actor, slot)))
            .collect();
        let columns = axis.columns.iter();
        Self {
            columns: columns
                .map(|column| sums(report, column, &device.id, &by_actor))
                .collect(),
            actors,
            device: device.id.clone(),
        }
    }

    pub(super) fn draw(&self, axis: &TimeAxis) -> Markup {
        let paths = self.paths(axis);
        html! {
            svg.plot.usage width="100%" height=(HEIGHT) role="img" aria-label="Who used the disk over time" {
                (stretched(HEIGHT, &html! {
                    @for (slot, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
                        path class={ "u" (slot) } d=(path.data()) {}
                        @if slot < CULPRITS { path.stripes d=(path.data()) {} }
                    }
                }))
            }
        }
    }

    fn paths(&self, axis: &TimeAxis) -> [Path; SLOTS] {
        let mut paths: [Path; SLOTS] = Default::default();
        for (column, sums) in axis.columns.iter().zip(&self.columns) {
            let all: f64 = sums.iter().sum();
            let mut bottom = HEIGHT;
            for (path, sum) in paths.iter_mut().zip(sums).filter(|(_, sum)| **sum > 0.0) {
                let height = HEIGHT * sum / all;
                bottom -= height;
                path.rectangle(
                    (column.from * WIDTH, bottom),
                    (column.width() * WIDTH, height),
                );
            }
        }
        paths
    }

    /// The colours, each with a name and its share of the whole window.
    pub(super) fn legend(&self, report: &Report) -> Markup {
        html! {
            ul.legend {
                @for (slot, actors) in self.actors.iter().enumerate() {
                    @for id in actors {
                        li { (swatch(slot)) " " (self.entry(report, *id)) }
                    }
                }
                @if self.columns.iter().any(|sums| sums[SLOTS - 1] > 0.0) {
                    li { (swatch(SLOTS - 1)) " all others" }
                }
            }
        }
    }

    fn entry(&self, report: &Report, id: u32) -> Markup {
        let Some(number) = report.actors.iter().position(|actor| actor.id == id) else {
            return html! { "?" };
        };
        let actor = &report.actors[number];
        let uses = actor.uses.iter().enumerate();
        let uses = uses.filter(|(_, used)| used.device == self.device);
        html! {
            (foreign::short(&actor.label))
            @for (index, used) in uses.filter(|(_, used)| used.device_share.is_some_and(|part| part >= 0.001)) {
                span.muted {
                    " " (crate::text::word(&used.op)) " "
                    (figure::part(&format!("/actors/{number}/uses/{index}"), "device_share", used.device_share))
                }
            }
        }
    }

    /// Who used most of a column, in words.
    pub(super) fn first_of(&self, report: &Report, column: usize) -> Option<String> {
        let sums = self.columns.get(column)?;
        let all: f64 = sums.iter().sum();
        let most = sums
            .iter()
            .enumerate()
            .max_by(|one, other| one.1.total_cmp(other.1));
        let (slot, sum) = most.filter(|(_, sum)| **sum > 0.0)?;
        let actor = self.actors.get(slot).and_then(|actors| actors.first());
        let label = actor.and_then(|id| report.actors.iter().find(|one| one.id == *id));
        let label = label.map_or_else(|| "others".to_owned(), |one| foreign::beginning(&one.label));
        Some(format!("used most by {label}: {}", share(sum / all)))
    }
}

/// The culprits, then those with the most device time on this disk.
fn slots(report: &Report, device: &str) -> Vec<Vec<u32>> {
    let culprits = report.verdict.culprits.iter().filter_map(|one| one.actor);
    let time = |id: u32| {
        let actor = report.actors.iter().find(|actor| actor.id == id);
        let uses = actor.into_iter().flat_map(|actor| &actor.uses);
        let uses = uses.filter(|used| used.device == device);
        uses.fold(0u64, |sum, used| sum.saturating_add(used.device_ns))
    };
    let culprits: Vec<u32> = culprits.filter(|id| time(*id) > 0).collect();
    let others = report.actors.iter().map(|actor| (time(actor.id), actor.id));
    let mut others: Vec<(u64, u32)> = others
        .filter(|(ns, id)| *ns > 0 && !culprits.contains(id))
        .collect();
    others.sort_by_key(|(ns, id)| (std::cmp::Reverse(*ns), *id));
    others.truncate(SLOTS - CULPRITS - 1);
    let others = others.into_iter().map(|(_, id)| vec![id]);
    let (first, more) = culprits.split_at(culprits.len().min(1));
    [first.to_vec(), more.to_vec()]
        .into_iter()
        .chain(others)
        .collect()
}

fn sums(
    report: &Report,
    column: &Column,
    device: &str,
    by_actor: &HashMap<u32, usize>,
) -> [f64; SLOTS] {
    let mut sums = [0.0; SLOTS];
    let rows = column.of(report).iter().flat_map(|one| &one.uses);
    for row in rows.filter(|row| row.device == device) {
        let slot = by_actor.get(&row.actor).copied().unwrap_or(SLOTS - 1);
        sums[slot] += row.device_ns as f64;
    }
    sums
}

/// The colour of a slot, striped when it is the culprits'.
pub(super) fn swatch(slot: usize) -> Markup {
    html! {
        svg.swatch width="14" height="14" aria-hidden="true" {
            rect class={ "u" (slot) } width="14" height="14" {}
            @if slot < CULPRITS { rect.stripes width="14" height="14" {} }
        }
    }
}
