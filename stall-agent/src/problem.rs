//! Why a file that somebody gives the program is neither a report nor a capture.

use std::io::{self, ErrorKind};

use crate::file::reason;
use crate::report::escape;

/// Why a file is neither.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error("{}", refused(.0))]
    Io(#[from] io::Error),
    #[error("the file is empty")]
    Empty,
    #[error("neither a report nor a capture of stall-agent (it begins with {0})")]
    Foreign(String),
    #[error("it is compressed with {0}: decompress it first")]
    Compressed(&'static str),
    #[error("it is damaged gzip ({0}): copy it again from the original")]
    Gzip(String),
    /// Another document of this program.
    #[error("{0}, neither a report nor a capture")]
    Other(&'static str),
    #[error(
        "{what} of format {found}, but this program reads {reads}: use the version of stall-agent that made it{}",
        by(.made_by.as_deref())
    )]
    Version {
        what: &'static str,
        found: u64,
        reads: String,
        made_by: Option<String>,
    },
    #[error(
        "{what} of a newer version ({value} is unknown here): use the version of stall-agent that made it{}",
        by(.made_by.as_deref())
    )]
    Newer {
        what: &'static str,
        value: String,
        made_by: Option<String>,
    },
    #[error("{what}, damaged{at}: copy it again from the original")]
    Damaged { what: &'static str, at: String },
    #[error(
        "a report without its capture (too large, or too old): give the file that trace --capture saved"
    )]
    NoCapture,
}

/// That it cannot be read, and what helps.
fn refused(error: &io::Error) -> String {
    let reason = reason(error);
    match error.kind() {
        ErrorKind::PermissionDenied => {
            format!(
                "{reason}: only its owner may read what stall-agent writes; use sudo, or have it copied"
            )
        }
        _ => reason,
    }
}

fn by(version: Option<&str>) -> String {
    version.map_or(String::new(), |version| format!(", {}", escape(version)))
}
