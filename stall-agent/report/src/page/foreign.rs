//! Foreign strings: control characters and those that turn the direction of text are shown as escapes; the template
//! escapes what HTML gives a meaning.

use maud::{Markup, Render, html};

use crate::text::{cut, escape};

/// Cells of a name where it would push everything else away.
const SHORT: usize = 60;

/// The whole of it.
pub(super) fn text(foreign: &str) -> String {
    escape(foreign)
}

/// The beginning of it, where there is no room for more.
pub(super) fn beginning(foreign: &str) -> String {
    cut(&escape(foreign), SHORT)
}

/// The beginning of it; the rest is in the tooltip.
pub(super) fn short(foreign: &str) -> Markup {
    let whole = escape(foreign);
    let short = cut(&whole, SHORT);
    html! {
        @if short == whole { (short) } @else { span title=(cut(&whole, 1_000)) { (short) } }
    }
}

/// A command or a path, in the font of one; at most so many cells.
pub(super) fn code(foreign: &str, cells: usize) -> Markup {
    html! { code { (cut(&escape(foreign), cells)) } }
}

/// Parts that are there, with a mark between them.
pub(super) fn joined(parts: Vec<impl Render>) -> Markup {
    html! {
        @for (index, part) in parts.into_iter().enumerate() {
            @if index > 0 { span.dot { " \u{b7} " } }
            (part)
        }
    }
}
