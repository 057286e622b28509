//! How parts, ratios and means are reckoned everywhere.

/// `part / whole`; nothing when there is no whole.
pub(crate) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| significant(part as f64 / whole as f64))
}

/// A ratio to six significant digits: what is beyond is noise, and a short decimal is read back as it was.
pub(crate) fn significant(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// Mean of a sum, rounded down.
pub(crate) const fn mean(sum: u64, count: u64) -> Option<u64> {
    sum.checked_div(count)
}
