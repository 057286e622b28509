//! What fio measured.
//!
//! Contract: completion latency (clat) in nanoseconds, per direction; pure parsing.

use anyhow::{Context as _, Result};
use serde_json::Value;

/// Completion latency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Latency {
    pub count: u64,
    pub mean_ns: f64,
    pub min_ns: u64,
    pub p50_ns: u64,
    pub p90_ns: u64,
    pub p99_ns: u64,
    pub p999_ns: u64,
    pub max_ns: u64,
}

impl Latency {
    /// Reads one of fio's `*_ns` objects; all zero when nothing was measured.
    fn from_json(value: &Value) -> Self {
        let percentile = |name: &str| value["percentile"][name].as_u64().unwrap_or(0);
        let number = |name: &str| value[name].as_u64().unwrap_or(0);
        Self {
            count: number("N"),
            mean_ns: value["mean"].as_f64().unwrap_or(0.0),
            min_ns: number("min"),
            p50_ns: percentile("50.000000"),
            p90_ns: percentile("90.000000"),
            p99_ns: percentile("99.000000"),
            p999_ns: percentile("99.900000"),
            max_ns: number("max"),
        }
    }
}

/// One direction of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Direction {
    pub ops: u64,
    pub bytes: u64,
    pub runtime_ms: u64,
    pub latency: Latency,
}

impl Direction {
    fn from_json(value: &Value) -> Self {
        let number = |name: &str| value[name].as_u64().unwrap_or(0);
        Self {
            ops: number("total_ios"),
            bytes: number("io_bytes"),
            runtime_ms: number("runtime"),
            latency: Latency::from_json(&value["clat_ns"]),
        }
    }
}

/// What one fio run measured, over all of its threads.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FioResult {
    pub read: Direction,
    pub write: Direction,
    pub trim: Direction,
    /// fsync and fdatasync.
    pub sync: Latency,
    pub errors: u64,
}

impl FioResult {
    /// Reads fio's JSON, past whatever it said before.
    pub fn parse(text: &str) -> Result<Self> {
        let begin = text.find('{').context("fio gave no JSON")?;
        let json: Value = serde_json::from_str(&text[begin..]).context("reading fio's JSON")?;
        let job = json["jobs"].get(0).context("fio reports no job")?;
        Ok(Self {
            read: Direction::from_json(&job["read"]),
            write: Direction::from_json(&job["write"]),
            trim: Direction::from_json(&job["trim"]),
            sync: Latency::from_json(&job["sync"]["lat_ns"]),
            errors: job["total_err"].as_u64().unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"fio: a warning
{"jobs": [{"read": {"total_ios": 7, "io_bytes": 28672, "runtime": 1000,
  "clat_ns": {"min": 10, "max": 90, "mean": 40.5, "N": 7,
    "percentile": {"50.000000": 30, "90.000000": 60, "99.000000": 80, "99.900000": 85}}},
  "write": {"total_ios": 0, "io_bytes": 0, "runtime": 0, "clat_ns": {"min": 0, "max": 0}},
  "trim": {}, "sync": {"total_ios": 2, "lat_ns": {"N": 2, "max": 5, "percentile": {"50.000000": 4}}},
  "total_err": 1}]}"#;

    #[test]
    fn the_numbers_are_found() {
        let result = FioResult::parse(JSON).unwrap();
        assert_eq!((result.read.ops, result.read.bytes), (7, 28672));
        let latency = result.read.latency;
        assert_eq!((latency.p50_ns, latency.p999_ns), (30, 85));
        assert_eq!((latency.max_ns, latency.count), (90, 7));
        assert_eq!(result.write, Direction::default());
        assert_eq!((result.sync.count, result.sync.p50_ns), (2, 4));
        assert_eq!(result.errors, 1);
    }

    #[test]
    fn what_is_no_result_is_refused() {
        assert!(FioResult::parse("").is_err());
        assert!(FioResult::parse("{\"jobs\": []}").is_err());
    }
}
