//! The report as one HTML file for a browser: who did it at the top, then pictures on one time axis, then everything else.
//!
//! Contract: the file needs nothing but itself and says so to the browser (Content-Security-Policy: no request, no script
//! or style but its own); it is readable without its script; foreign names are escaped; numbers are the report's, marked
//! with their place in the JSON (`<data data-of="/verdict/...">`), and drawing only scales, or adds up what shares a column.

mod advice;
mod blame;
mod comparison;
mod devices;
mod distribution;
mod evidence;
mod figure;
mod foreign;
mod head;
mod heat;
mod lanes;
mod latency_scale;
mod older;
mod path;
mod policy;
mod rest;
mod stacks;
mod time_axis;
mod timeline;
mod usage;
mod verdict;
mod vms;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Report;
use time_axis::TimeAxis;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The whole file.
#[must_use]
pub fn page(report: &Report) -> String {
    let axis = TimeAxis::new(report);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy::of(STYLE, SCRIPT));
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (foreign::text(&head::title(report))) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (patterns())
                (head::banner(report))
                main { (sections(report, &axis)) }
                (rest::footer(report))
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// Stripes for the cause, so that colour is not all that tells it. They lie flat: pictures are stretched sideways.
fn patterns() -> Markup {
    html! {
        svg.patterns aria-hidden="true" {
            defs {
                pattern id="stripes" width="8" height="5" patternUnits="userSpaceOnUse" {
                    line.stripe x1="0" x2="8" y1="1" y2="1" {}
                }
            }
        }
    }
}

fn sections(report: &Report, axis: &TimeAxis) -> Markup {
    html! {
        (verdict::parties(report))
        (timeline::section(report, axis))
        (lanes::section(report, axis))
        (evidence::section(report))
        (comparison::section(report))
        (blame::section(report))
        (advice::section(report))
        (devices::section(report))
        (vms::section(report))
        (rest::discards(report))
        (rest::chains(report))
        (rest::losses(report))
    }
}
