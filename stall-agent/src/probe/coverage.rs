//! What a report lacks on a kernel for want of fields that are optional; pure. Hooks say it for themselves
//! ([`super::plan::Step::hook`]).

use super::catalog::Need;
use crate::capture::Gap;
use crate::kernel::layout::{PARTS, Part};
use crate::kernel::support::Facts;

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
