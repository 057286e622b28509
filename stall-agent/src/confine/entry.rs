//! What is made sure of before anything else is done: that whoever started the program has the rights it has, and that
//! no variable of the environment has a say in what it does.

use std::ffi::OsString;

use crate::failure::Failure;

/// Kept for the terminal: they say what it can show, and name no file.
const KEPT: [&str; 5] = ["TERM", "COLORTERM", "NO_COLOR", "COLUMNS", "LINES"];

/// Refuses to run with more rights than whoever started it: set-uid, set-gid, or with capabilities of its file. It was
/// not made to guard rights from its user.
///
/// # Errors
///
/// [`Failure::NotPermitted`].
pub fn refuse_borrowed_rights() -> Result<(), Failure> {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    // SAFETY: getauxval(3) reads a number that the kernel gave the process at its start.
    let secure = unsafe { libc::getauxval(libc::AT_SECURE) } != 0;
    if !secure && getuid() == geteuid() && getgid() == getegid() {
        return Ok(());
    }
    Err(Failure::NotPermitted(
        "this program is set-uid, set-gid or has capabilities of its own, and refuses to run that way: \
         take these off its file, and run it as root, with sudo for example"
            .to_owned(),
    ))
}

/// Empties the environment, but for what a terminal needs: libraries look there for things to load, directories to
/// write to and sizes to use, and a variable of whoever called sudo is not to decide that.
///
/// # Safety
///
/// No other thread may be there yet.
pub unsafe fn clear_environment() {
    let kept: Vec<(&str, Option<OsString>)> =
        KEPT.map(|name| (name, std::env::var_os(name))).into();
    // SAFETY: there is no other thread, says the caller.
    unsafe { libc::clearenv() };
    for (name, value) in kept {
        if let Some(value) = value {
            // SAFETY: as above.
            unsafe { std::env::set_var(name, value) };
        }
    }
}
