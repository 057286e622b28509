//! What a trace needs of this host, capability by capability, with advice for what is missing.
//!
//! [`gather`] asks the system, [`judge`] decides from what it said, and is pure. [`demand`] is the
//! part of it that takes no time, for the start of a trace.

mod capability;
mod evidence;
mod judgement;

pub use capability::{Capability, State, obstacle};
pub use evidence::{Bpf, Evidence, KernelTypes, gather};
pub use judgement::judge;

use crate::failure::{Failure, code};
use stall_host::HostRoot;

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
