//! Rectangles of one look as one path: a browser draws thousands of them as fast as one.

use std::fmt::Write as _;

/// Data of a path.
#[derive(Clone, Debug, Default)]
pub(super) struct Path(String);

impl Path {
    /// A rectangle with its upper left corner; none without an area.
    pub(super) fn rectangle(&mut self, (x, y): (f64, f64), (width, height): (f64, f64)) {
        // Edges are rounded, not widths: neighbours leave no gap.
        let width = (tenths(x + width) - tenths(x)).max(0.0);
        if width > 0.0 && height > 0.0 {
            // Writing to a string does not fail.
            let _ = write!(
                self.0,
                "M{} {}h{}v{}h-{}z",
                short(x),
                short(y),
                short(width),
                short(height),
                short(width)
            );
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn data(&self) -> &str {
        &self.0
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A tenth is finer than a screen; a trailing 0 is left out.
pub(super) fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// A part of 1 as per cent, for a place.
pub(super) fn percent(part: f64) -> String {
    let text = format!("{:.2}", part * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_are_one_path() {
        let mut path = Path::default();
        path.rectangle((0.0, 1.25), (10.0, 2.0));
        path.rectangle((5.0, 1.0), (0.0, 2.0));
        path.rectangle((16.66, 0.0), (16.68, 1.0));
        assert_eq!(path.data(), "M0 1.2h10v2h-10zM16.7 0h16.6v1h-16.6z");
        assert_eq!(percent(0.125), "12.5%");
        assert_eq!(percent(1.0), "100%");
    }
}
