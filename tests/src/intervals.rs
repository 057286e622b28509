//! Arithmetic on spans of time: union, overlap, percentiles.
//!
//! Contract: pure. A span is half open, `start..end`, in nanoseconds; an empty or reversed span
//! covers nothing.

use std::ops::Range;

/// The span's length; zero when reversed.
pub fn length(span: &Range<u64>) -> u64 {
    span.end.saturating_sub(span.start)
}

/// What two spans share; possibly empty.
pub fn intersection(a: &Range<u64>, b: &Range<u64>) -> Range<u64> {
    let start = a.start.max(b.start);
    start..a.end.min(b.end).max(start)
}

/// The disjoint spans that cover exactly what the given spans cover, in order.
pub fn union(spans: impl IntoIterator<Item = Range<u64>>) -> Vec<Range<u64>> {
    let mut sorted: Vec<_> = spans.into_iter().filter(|s| length(s) > 0).collect();
    sorted.sort_by_key(|s| s.start);
    let mut merged: Vec<Range<u64>> = Vec::new();
    for span in sorted {
        match merged.last_mut() {
            Some(last) if span.start <= last.end => last.end = last.end.max(span.end),
            _ => merged.push(span),
        }
    }
    merged
}

/// The time that at least one of the spans covers.
pub fn union_length(spans: impl IntoIterator<Item = Range<u64>>) -> u64 {
    union(spans).iter().map(length).sum()
}

/// The time of `span` that a union (disjoint, in order) covers.
pub fn covered(span: &Range<u64>, union: &[Range<u64>]) -> u64 {
    let first = union.partition_point(|part| part.end <= span.start);
    union[first..]
        .iter()
        .take_while(|part| part.start < span.end)
        .map(|part| length(&intersection(span, part)))
        .sum()
}

/// The nearest-rank percentile (0 to 100) of unsorted values; `None` of nothing.
pub fn percentile(values: &[u64], percent: f64) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_touching_and_nested_spans_are_counted_once() {
        let spans = [10..20, 15..25, 25..30, 40..50, 42..43];
        assert_eq!(union(spans.clone()), [10..30, 40..50]);
        assert_eq!(union_length(spans), 30);
    }

    #[test]
    fn empty_and_reversed_spans_cover_nothing() {
        let reversed = Range { start: 9, end: 3 };
        assert_eq!(union_length([5..5, reversed]), 0);
        assert_eq!(union_length([]), 0);
    }

    #[test]
    fn covered_is_the_sum_of_the_parts() {
        let busy = union([0..10, 20..30]);
        assert_eq!(covered(&(5..25), &busy), 10);
        assert_eq!(covered(&(10..20), &busy), 0);
        assert_eq!(covered(&(0..100), &busy), 20);
    }

    #[test]
    fn intersection_of_disjoint_spans_is_empty() {
        assert_eq!(length(&intersection(&(0..5), &(7..9))), 0);
        assert_eq!(intersection(&(0..8), &(3..20)), 3..8);
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let values = [5, 1, 4, 2, 3];
        assert_eq!(percentile(&values, 50.0), Some(3));
        assert_eq!(percentile(&values, 0.0), Some(1));
        assert_eq!(percentile(&values, 100.0), Some(5));
        assert_eq!(percentile(&values, 99.0), Some(5));
        assert_eq!(percentile(&[], 50.0), None);
    }
}
