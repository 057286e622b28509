//! Clocks that are not the kernel's.

use std::path::Path;

use anyhow::{Result, ensure};
use stall_agent::failure::code;

use crate::harness::agent::Agent;
use crate::harness::same;
use crate::harness::skip::Skip;
use crate::harness::test::Test;

pub(crate) const TESTS: &[Test] = &[Test::new("clocks_of_its_own_are_refused", own)];

/// Check that in a time namespace, where no stamp of the programs would lie in the window, there is a sentence instead of a report
/// in which nothing happened.
fn own() -> Result<()> {
    if !Path::new("/proc/self/timens_offsets").exists() {
        return Err(Skip("this kernel has no time namespaces".to_owned()).into());
    }
    let agent = Agent::everywhere().with("--duration", "300ms").ahead();
    let (status, said) = agent.spawn()?.give_up()?;
    ensure!(status == Some(code::OTHER.into()), "{status:?}: {said}");
    same("lines", said.lines().count() as u64, 1)?;
    ensure!(said.contains("in a time namespace"), "it says {said}");
    Ok(())
}
