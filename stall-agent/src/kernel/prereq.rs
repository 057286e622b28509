//! What a trace needs of this host, capability by capability, with advice for what is missing.
//!
//! [`gather`] asks the system, [`judge`] decides from what it said, and is pure. [`demand`] is the
//! part of it that takes no time, for the start of a trace.

mod evidence;
mod judgement;

use serde::Serialize;

pub use evidence::{Bpf, Evidence, KernelTypes, gather};
pub use judgement::judge;

use crate::failure::{Failure, code};
use stall_host::HostRoot;

/// One thing a trace needs or profits from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    pub name: String,
    pub state: State,
    /// There is no trace without it.
    pub required: bool,
    /// What was found, in a few words.
    pub found: String,
    /// The rule: what a report lacks without it, whether it is there or not; `everything` when it is required.
    pub without: String,
    /// The same; `None` when it is there.
    pub lack: Option<String>,
    /// What to do about it; `None` when it is there.
    pub advice: Option<String>,
    /// Exit code of a trace that fails for want of it; `None` when there is a trace without it.
    pub exit_code: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Ok,
    Missing,
    /// Could not be found out; the trace will tell.
    Unknown,
}

/// The first thing for want of which a trace fails.
#[must_use]
pub fn obstacle(capabilities: &[Capability]) -> Option<&Capability> {
    capabilities
        .iter()
        .find(|capability| capability.required && capability.state == State::Missing)
}

/// Makes sure that a trace may be tried, without reading the kernel's types.
///
/// # Errors
///
/// The first obstacle, as the failure that it is.
pub fn demand(root: &HostRoot) -> Result<(), Failure> {
    let evidence = evidence::quick(root);
    let capabilities = judge(&evidence);
    let Some(obstacle) = obstacle(&capabilities) else {
        return Ok(());
    };
    Err(match obstacle.exit_code {
        Some(code::NO_BTF) => Failure::NoBtf,
        Some(code::LOCKDOWN) => Failure::Lockdown {
            level: obstacle.found.clone(),
        },
        _ => Failure::NotPermitted(refusal(obstacle)),
    })
}

fn refusal(obstacle: &Capability) -> String {
    let advice = obstacle.advice.as_deref().unwrap_or_default();
    format!("tracing is not permitted ({}): {advice}", obstacle.found)
}

#[cfg(test)]
mod tests;
