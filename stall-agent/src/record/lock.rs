//! One recorder for a directory: a file that it holds locked, with its pid.

use std::fs::{DirBuilder, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::failure::Failure;
use crate::file::reason;
use crate::output::is_in_memory;

const NAME: &str = ".lock";

/// Held for as long as it lives.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "closing it lets go of the lock")] File);

impl Lock {
    /// Makes the directory where it is not there, and takes it.
    ///
    /// # Errors
    ///
    /// [`Failure::OutputUnwritable`] also when it lies on a disk, [`Failure::Recorder`] when another recorder has it.
    pub fn take(directory: &Path) -> Result<Self, Failure> {
        let unwritable = |reason: String| Failure::OutputUnwritable {
            option: "dir",
            path: directory.to_owned(),
            reason,
        };
        let failed = |error: io::Error| unwritable(reason(&error));
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(directory).map_err(failed)?;
        if !is_in_memory(directory) {
            let why = "it is not in memory: it lies on a disk, which may be the one that hangs";
            return Err(unwritable(why.to_owned()));
        }
        let mut options = File::options();
        let options = options.read(true).write(true).create(true).truncate(false);
        let options = options.mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let mut file = options.open(directory.join(NAME)).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(Failure::Recorder(format!(
                    "{} is used by another recorder{}: end that one, or give another --dir",
                    directory.display(),
                    pid_in(&file).map_or(String::new(), |pid| format!(" (pid {pid})"))
                )));
            }
            Err(error) => return Err(failed(error.into())),
        }
        let written = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(failed)?;
        Ok(Self(file))
    }
}

/// Asks the recorder of a directory for an incident.
///
/// # Errors
///
/// [`Failure::Recorder`] when there is none.
pub fn ask(directory: &Path) -> Result<(), Failure> {
    let none = || {
        Failure::Recorder(format!(
            "no recorder uses {}: start stall-agent record, or give the --dir it was given",
            directory.display()
        ))
    };
    let Ok(file) = File::open(directory.join(NAME)) else {
        return Err(none());
    };
    if flock(&file, FlockOperation::NonBlockingLockShared).is_ok() {
        return Err(none());
    }
    let pid = pid_in(&file).ok_or_else(none)?;
    kill(Pid::from_raw(pid), Signal::SIGUSR1).map_err(|error| {
        Failure::NotPermitted(format!(
            "the recorder (pid {pid}) cannot be asked ({}): do it as the user it runs as",
            error.desc()
        ))
    })
}

fn pid_in(mut file: &File) -> Option<i32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok().filter(|pid| *pid > 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_recorder_and_is_in_memory() {
        let parent = tempfile::tempdir_in("/dev/shm").unwrap();
        let directory = parent.path().join("a/b");
        assert!(matches!(ask(&directory), Err(Failure::Recorder(_))));
        let lock = Lock::take(&directory).unwrap();
        let said = Lock::take(&directory).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(
            said.contains(&format!("another recorder (pid {pid})")),
            "{said}"
        );
        drop(lock);
        assert!(matches!(ask(&directory), Err(Failure::Recorder(_))));
        Lock::take(&directory).unwrap();
    }

    #[test]
    fn a_disk_is_refused() {
        let Ok(directory) = tempfile::tempdir_in("/var/tmp") else {
            return;
        };
        if !is_in_memory(directory.path()) {
            let said = Lock::take(directory.path()).unwrap_err().to_string();
            assert!(
                said.contains("lies on a disk") && said.contains("--dir"),
                "{said}"
            );
        }
    }
}
