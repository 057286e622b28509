//! A program of a machine, which does not outlive us.

use std::process::Child;

/// Ended by its own pid, however we end.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
