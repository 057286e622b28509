//! What a check says, and how its lines on the console begin.

/// Begins each line that counts.
pub const MARK: &str = "@@ ";
/// Begins a line that asks the host for something.
pub const ASK: &str = "@? ";
/// Begins a line with a capture of a check that failed: its name, and the JSON.
pub const CAPTURE: &str = "@> ";
/// The last line.
pub const END: &str = "@@ end";
/// The agent under test.
pub const AGENT: &str = "/stall-agent";

/// What a check found.
pub enum Outcome {
    /// With what was seen.
    Passed(String),
    /// Cannot be shown on this kernel, and why.
    Skipped(String),
}
