//! Running other programs: no stdin, output streamed or kept in a log, a failure told in one sentence.

use std::env;
use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail};

/// Where output goes that is not shown.
static LOG: OnceLock<File> = OnceLock::new();

/// From here on, what is run and said goes there; or to the one given before.
pub(crate) fn keep_output_in(log: File) {
    LOG.get_or_init(|| log);
}

/// One line of our own.
pub(crate) fn say(line: &str) {
    match LOG.get() {
        // A log that cannot be written is told of by what is run.
        Some(mut log) => drop(writeln!(log, "{line}")),
        None => eprintln!("{line}"),
    }
}

/// Runs `command` to its end; what it prints is streamed, or kept in the log.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    match LOG.get() {
        Some(log) => run_into(command, log),
        None => wait(command),
    }
}

/// Runs `command` to its end, with what it prints in `log`.
pub(crate) fn run_into(command: &mut Command, log: &File) -> Result<()> {
    command.stdout(log.try_clone()?).stderr(log.try_clone()?);
    wait(command)
}

fn wait(command: &mut Command) -> Result<()> {
    let name = name(command);
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("{name} does not start"))?;
    if !status.success() {
        bail!("{name} failed ({status})");
    }
    Ok(())
}

/// What `command` prints on stdout; nothing when it fails or is not there.
pub(crate) fn read(command: &mut Command) -> Option<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned();
    output.status.success().then_some(text)
}

/// Whether `command` succeeds; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    read(command).is_some()
}

/// Becomes `command`: signals reach it directly and its exit status is ours. Returns only to fail.
pub(crate) fn become_program(command: &mut Command) -> Result<()> {
    let name = name(command);
    let error = command.exec();
    Err(error).with_context(|| format!("{name} does not start"))
}

/// The program of that name on `PATH`, or where Debian keeps what only root uses.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path)
        .chain(sbin)
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let words = command.get_args().map(|word| word.to_string_lossy());
    let first = words.take(1).collect::<String>();
    let program = program
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy();
    format!("{program} {first}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_names_the_program_and_its_first_word() {
        let error = run(Command::new("/bin/false").arg("install")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("false install failed (exit status: 1")
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_no_output() {
        assert_eq!(read(&mut Command::new("/nonexistent/program")), None);
        assert!(run(&mut Command::new("/nonexistent/program")).is_err());
    }

    #[test]
    fn finds_programs_on_the_path() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
