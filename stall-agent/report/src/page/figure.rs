//! Numbers of the report: words for people, the value and its place in the JSON for programs.

use maud::{Markup, html};

use crate::text::{bytes, duration, factor, share, thousands};

/// What stands for a number that is not known.
pub(super) const UNKNOWN: &str = "?";

/// Nanoseconds at `place`/`field`.
pub(super) fn time(place: &str, field: &str, ns: impl Into<Option<u64>>) -> Markup {
    let ns = ns.into();
    figure(place, field, ns, ns.map(duration))
}

/// A number of things.
pub(super) fn count(place: &str, field: &str, number: impl Into<Option<u64>>) -> Markup {
    let number = number.into();
    figure(place, field, number, number.map(thousands))
}

/// A size.
pub(super) fn size(place: &str, field: &str, number: impl Into<Option<u64>>) -> Markup {
    let number = number.into();
    figure(place, field, number, number.map(bytes))
}

/// A part of 1.
pub(super) fn part(place: &str, field: &str, part: impl Into<Option<f64>>) -> Markup {
    let part = part.into();
    figure(place, field, part, part.map(share))
}

/// A factor.
pub(super) fn times(place: &str, field: &str, ratio: impl Into<Option<f64>>) -> Markup {
    let ratio = ratio.into();
    figure(place, field, ratio, ratio.map(factor))
}

fn figure(
    place: &str,
    field: &str,
    value: Option<impl std::fmt::Display>,
    words: Option<String>,
) -> Markup {
    html! {
        data value=[value] data-of={ (place) "/" (field) } { (words.unwrap_or_else(|| UNKNOWN.to_owned())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_words_a_value_and_a_place() {
        let html = time("/verdict", "x_ns", 1_250_000).into_string();
        assert_eq!(
            html,
            r#"<data value="1250000" data-of="/verdict/x_ns">1.25 ms</data>"#
        );
        let html = part("/a", "b_share", None).into_string();
        assert_eq!(html, r#"<data data-of="/a/b_share">?</data>"#);
    }
}
