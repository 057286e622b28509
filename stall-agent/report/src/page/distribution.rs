//! Two latency distributions on one axis: with a discard in flight upwards, without downwards.
//!
//! Each side is drawn as parts of its own requests, so that sides of different size compare.

use std::collections::BTreeMap;

use base64::Engine as _;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use maud::{Markup, html};
use stall_common::histogram::{bucket, wide, wide_bounds};

use super::heat::{WIDTH, stretched};
use super::latency_scale::LatencyScale;
use super::path::{Path, percent};
use crate::duration;
use crate::model::Distribution;

/// Of one side.
const HEIGHT: f64 = 56.0;

/// Requests by wide bucket, as parts of all.
type Parts = BTreeMap<usize, f64>;

/// Both sides; nothing when neither can be read.
pub(super) fn pair(
    exposed: Option<&Distribution>,
    unexposed: Option<&Distribution>,
    slow_ns: u64,
) -> Option<Markup> {
    let (above, below) = (parts(exposed), parts(unexposed));
    let seen = || above.keys().chain(below.keys()).map(|at| wide_bounds(*at));
    seen().next()?;
    let ends = seen().flat_map(|(low, high)| [low.max(1), high]);
    let scale = LatencyScale::around(ends.chain([slow_ns]));
    let highest = above
        .values()
        .chain(below.values())
        .fold(0.0, |most: f64, part| most.max(*part));
    let (up, down) = (
        sides(scale, &above, highest, true),
        sides(scale, &below, highest, false),
    );
    let limit = percent(scale.place(slow_ns as f64));
    Some(html! {
        svg.plot.pair width="100%" height=(HEIGHT * 2.0) role="img"
            aria-label="Latencies with a discard in flight (up) and without (down)" {
            (stretched(HEIGHT * 2.0, &html! { path.exposed d=(up.data()) {} path.unexposed d=(down.data()) {} }))
            line.middle x1="0" x2="100%" y1=(HEIGHT) y2=(HEIGHT) {}
            line.limit x1=(limit) x2=(limit) y1="0" y2=(HEIGHT * 2.0) {}
            text.halo x="4" y="13" { "with a discard" }
            text.halo x="4" y=(HEIGHT * 2.0 - 5.0) { "without" }
        }
        (ticks(scale))
    })
}

fn ticks(scale: LatencyScale) -> Markup {
    html! {
        svg.scale width="100%" height="18" aria-hidden="true" {
            @for ns in scale.decades() {
                @let at = scale.place(ns as f64);
                line.tick x1=(percent(at)) x2=(percent(at)) y1="0" y2="4" {}
                text x=(percent(at)) y="15" text-anchor=(if at < 0.03 { "start" } else if at > 0.95 { "end" } else { "middle" }) {
                    (duration(ns))
                }
            }
        }
    }
}

fn sides(scale: LatencyScale, parts: &Parts, highest: f64, up: bool) -> Path {
    let mut path = Path::default();
    for (at, part) in parts {
        let (low, high) = wide_bounds(*at);
        let (from, to) = (scale.place(low as f64), scale.place(high as f64));
        // One of thousands must be seen.
        let height = (HEIGHT * part / highest).max(1.5);
        let top = if up { HEIGHT - height } else { HEIGHT };
        path.rectangle((from * WIDTH, top), ((to - from) * WIDTH - 1.0, height));
    }
    path
}

/// Of what cannot be read, nothing.
fn parts(distribution: Option<&Distribution>) -> Parts {
    let mut parts = Parts::new();
    let Some(histogram) = distribution.and_then(decoded) else {
        return parts;
    };
    let all = histogram.len().max(1) as f64;
    for step in histogram.iter_recorded() {
        let at = wide(bucket(step.value_iterated_to()) as usize);
        *parts.entry(at).or_default() += step.count_at_value() as f64 / all;
    }
    parts
}

fn decoded(distribution: &Distribution) -> Option<Histogram<u64>> {
    let text = distribution.hdr_v2.as_ref()?;
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .ok()?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).ok()
}
