//! One thing that a trace needs of a host, and whether it is there.

use serde::Serialize;

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
