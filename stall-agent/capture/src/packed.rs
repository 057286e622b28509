//! A capture in a few kilobytes of text: so a report carries it, and one file does for everything.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Capture, ReadError};

/// Of the text. Those of a minute have some 40 KB, those of a busy hour more than a report should.
const LARGEST: usize = 1 << 20;
/// Of what is unpacked: what a small text could be made to be otherwise.
const UNPACKED_MOST: u64 = 1 << 30;

/// A saved capture, packed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Packed {
    /// The capture's JSON, compressed with gzip, in Base64.
    pub gzip_base64: String,
}

impl Packed {
    /// `None` when it would be too large for a report.
    #[must_use]
    pub fn new(capture: &Capture) -> Option<Self> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        serde_json::to_writer(&mut gzip, capture).ok()?;
        let gzip_base64 = STANDARD.encode(gzip.finish().ok()?);
        (gzip_base64.len() <= LARGEST).then_some(Self { gzip_base64 })
    }

    /// The capture.
    ///
    /// # Errors
    ///
    /// When it is damaged, or of another version.
    pub fn capture(&self) -> Result<Capture, ReadError> {
        let packed = STANDARD.decode(&self.gzip_base64);
        let packed = packed.map_err(|error| ReadError::Damaged(error.to_string()))?;
        Capture::read(GzDecoder::new(packed.as_slice()).take(UNPACKED_MOST))
    }
}
