//! A latency distribution.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Latencies of the requests that ended in the window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Distribution {
    /// Number of requests.
    pub count: u64,
    /// Sum of their latencies.
    pub sum_ns: u64,
    /// `sum_ns / count`
    pub mean_ns: Option<u64>,
    /// Median latency.
    pub p50_ns: Option<u64>,
    /// 90th percentile.
    pub p90_ns: Option<u64>,
    /// 99th percentile.
    pub p99_ns: Option<u64>,
    /// 99.9th percentile.
    pub p999_ns: Option<u64>,
    /// Longest latency.
    pub max_ns: Option<u64>,
    /// All of it: `HdrHistogram` V2, not compressed, base64.
    pub hdr_v2: Option<String>,
}
