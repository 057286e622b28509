//! What a report lacks on a kernel for want of fields that are optional; pure. Hooks say it for themselves
//! ([`super::plan::Step::hook`]).

use crate::kernel::catalog::Need;
use crate::kernel::layout::{PARTS, Part};
use crate::kernel::support::Facts;
use stall_capture::Gap;

/// What the agent asks of a kernel besides its programs.
pub struct Outside {
    pub part: &'static str,
    pub missing: &'static str,
    pub lack: &'static str,
}

/// Files that may lie on a disk that hangs are read as far as they are in memory (5.12).
pub const CACHED_FILES: Outside = Outside {
    part: "cached_files",
    missing: "RESOLVE_CACHED in openat2(2)",
    lack: "the disks of Longhorn replicas, and the contents of files in /oem",
};

/// The search of all queues for requests from before the trace came to no end.
pub const QUEUES: Outside = Outside {
    part: "search_of_queues",
    missing: "a way from the first process to the block devices",
    lack: "some requests submitted before the trace and still pending at its end are not found",
};

/// The same as a row.
#[must_use]
pub fn outside(it: &Outside) -> Gap {
    Gap {
        part: it.part.to_owned(),
        missing: it.missing.to_owned(),
        lack: it.lack.to_owned(),
    }
}

/// The parts of the layout that are asked for on a kernel.
pub fn asked(facts: &Facts) -> impl Iterator<Item = &'static Part> {
    PARTS
        .iter()
        .filter(|part| part.is_asked(&facts.layout, |hook| facts.tracepoints.contains_key(hook)))
}

/// One row for each that is not whole.
#[must_use]
pub fn gaps(facts: &Facts) -> Vec<Gap> {
    asked(facts).filter_map(|part| gap(part, facts)).collect()
}

fn gap(part: &Part, facts: &Facts) -> Option<Gap> {
    let Need::Optional(lack) = part.need else {
        return None;
    };
    let missing = part.missing(&facts.layout);
    (!missing.is_empty()).then(|| Gap {
        part: part.name.to_owned(),
        missing: missing.join(", "),
        lack: lack.to_owned(),
    })
}
