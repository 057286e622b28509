//! What the daemon does when its parent is gone without a word (SIGKILL).
//!
//! Contract: whatever the parent had said stands on the disk is taken down, last first, within
//! seconds; the disk must already be hurried. What still uses it afterwards gets EIO once the
//! daemon has ended, and the rest goes with it. Errors are reported and do not stop it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::{loop_device, mounted};

const UNMOUNT_WITHIN: Duration = Duration::from_secs(1);

/// Takes down loop devices and mounts, in reverse order.
pub fn take_down(attached: &[PathBuf]) {
    for path in attached.iter().rev() {
        let result = if is_device(path) {
            loop_device::detach(path)
        } else {
            let result = mounted::unmount(path, UNMOUNT_WITHIN);
            remove_folder(path);
            result
        };
        if let Err(error) = result {
            eprintln!("slow-disk: {}: {error:#}", path.display());
        }
    }
}

/// Removes the folder that was mounted on and the one above, if there is nothing in it.
pub fn remove_folders(mount: &Path) {
    remove_folder(mount);
    if let Some(above) = mount.parent() {
        remove_folder(above);
    }
}

fn is_device(path: &Path) -> bool {
    path.starts_with("/dev")
}

/// Removes the mount point; that it is not empty or gone already is no concern here.
fn remove_folder(path: &Path) {
    let _ = std::fs::remove_dir(path);
}
