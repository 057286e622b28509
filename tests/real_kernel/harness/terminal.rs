//! A real terminal with the agent in front: tmux with a server and a socket of its own, in a folder of its own.
//!
//! Contract: nobody else's server is spoken to; the server, the shell in it and the agent end when it is dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use stall_tests::scratch::Scratch;
use stall_tests::spawned::{Spawned, state, wait_until};
use stall_tests::watching::wait_until_watching;

use super::{agent, document};

const WITHIN: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);

/// What the shell of the terminal does: the agent as it would be typed, and how the terminal was before and after it.
const SCRIPT: &str = r#"cd "${0%/*}"
stty -g > before
sh -c 'echo $$ > pid; exec "$@" > stdout 2> stderr' sh "$@"
echo $? > code
stty -g > after
echo "it ended with $(cat code)"
exec sleep 60
"#;

/// The terminal.
#[derive(Debug)]
pub(crate) struct Terminal {
    server: Spawned,
    folder: Scratch,
}

impl Terminal {
    /// Opens one of so many columns and lines, and starts `trace --live` in it with more arguments; comes back when it
    /// watches. `before` is what precedes it on its line.
    pub(crate) fn tracing(
        (columns, lines): (u16, u16),
        before: &[&str],
        arguments: &[&str],
    ) -> Result<Self> {
        let folder = Scratch::new()?;
        let script = folder.path().join("script");
        fs::write(&script, SCRIPT)?;
        let server = Spawned::start(
            tmux(folder.path())
                .arg("-D")
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        )?;
        let terminal = Self { server, folder };
        let there = wait_until(WITHIN, || socket(terminal.folder.path()).exists());
        ensure!(there, "tmux does not start");
        let agent = agent::program()?;
        let mut words = vec!["sh".into(), script.display().to_string()];
        words.extend(before.iter().map(|&word| word.to_owned()));
        words.extend([agent.display().to_string(), "trace".into(), "--live".into()]);
        words.extend(arguments.iter().map(|&word| word.to_owned()));
        let size = [columns, lines].map(|size| size.to_string());
        let mut open = vec!["new-session", "-d", "-x", &size[0], "-y", &size[1]];
        open.extend(words.iter().map(String::as_str));
        terminal.tell(&open)?;
        let watches = wait_until(WITHIN, || terminal.pid().is_ok())
            && wait_until_watching(terminal.pid()?, WITHIN);
        ensure!(watches, "the agent does not watch: {}", terminal.said());
        Ok(terminal)
    }

    /// The agent's.
    pub(crate) fn pid(&self) -> Result<Pid> {
        let text = self.file("pid")?;
        Ok(Pid::from_raw(text.trim().parse().context("no pid yet")?))
    }

    pub(crate) fn server(&self) -> &Spawned {
        &self.server
    }

    /// What is on it.
    pub(crate) fn shows(&self) -> Result<String> {
        self.tell(&["capture-pane", "-p"])
    }

    /// The same with the sequences that style it.
    pub(crate) fn shows_styled(&self) -> Result<String> {
        self.tell(&["capture-pane", "-p", "-e"])
    }

    /// Waits until all of these are on it; what is.
    pub(crate) fn wait_for(&self, parts: &[&str]) -> Result<String> {
        let mut shown = String::new();
        let is_there = wait_until(WITHIN, || {
            // Each look is a process.
            thread::sleep(LOOK);
            shown = self.shows().unwrap_or_default();
            parts.iter().all(|part| shown.contains(part))
        });
        ensure!(is_there, "{parts:?} is not on the terminal:\n{shown}");
        super::note!("the terminal shows:\n{shown}");
        Ok(shown)
    }

    /// Makes it larger or smaller.
    pub(crate) fn resize(&self, columns: u16, lines: u16) -> Result<()> {
        let size = [columns, lines].map(|size| size.to_string());
        self.tell(&["resize-window", "-x", &size[0], "-y", &size[1]])?;
        Ok(())
    }

    /// Types keys, by tmux's names of them.
    pub(crate) fn press(&self, keys: &[&str]) -> Result<()> {
        self.tell(&[&["send-keys"], keys].concat())?;
        Ok(())
    }

    /// The device that the agent has for a terminal.
    pub(crate) fn device(&self) -> Result<String> {
        let name = self.tell(&["display-message", "-p", "#{pane_tty}"])?;
        Ok(name.trim().to_owned())
    }

    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(self.pid()?, signal)?)
    }

    /// Takes it away under the agent.
    pub(crate) fn close(&self) -> Result<()> {
        self.tell(&["kill-server"])?;
        Ok(())
    }

    /// Waits until the agent is gone, shell or not.
    pub(crate) fn wait_until_gone(&self) -> Result<()> {
        let pid = self.pid()?;
        let is_gone = wait_until(WITHIN, || matches!(state(pid), None | Some('Z')));
        ensure!(is_gone, "the agent is still there: {}", self.said());
        Ok(())
    }

    /// Waits for the agent's end and the shell's last word; the exit code.
    pub(crate) fn wait_for_end(&self) -> Result<i32> {
        self.wait_for(&["it ended with"])?;
        let code = self.file("code")?.trim().parse()?;
        ensure!(
            self.file("before")? == self.file("after")?,
            "the terminal is not as it was:\n{}{}",
            self.file("before")?,
            self.file("after")?
        );
        Ok(code)
    }

    /// The report it wrote to stdout; valid.
    pub(crate) fn report(&self) -> Result<serde_json::Value> {
        document::one(&self.file("stdout")?).with_context(|| self.said())
    }

    /// What it wrote to stderr.
    pub(crate) fn said(&self) -> String {
        self.file("stderr").unwrap_or_default()
    }

    fn file(&self, name: &str) -> Result<String> {
        Ok(fs::read_to_string(self.folder.path().join(name))?)
    }

    fn tell(&self, arguments: &[&str]) -> Result<String> {
        let output = tmux(self.folder.path())
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr);
            bail!("tmux {arguments:?}: {complaint}");
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may be gone, or stopped; it is killed after that in any case.
        let _ = self.server.signal(Signal::SIGCONT);
        let _ = self.close();
        if self.pid().is_ok() {
            let _ = self.wait_until_gone();
        }
    }
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("socket")
}

fn tmux(folder: &Path) -> Command {
    let mut command = Command::new("tmux");
    command
        .env_remove("TMUX")
        .env_remove("NO_COLOR")
        .args(["-f", "/dev/null", "-S"])
        .arg(socket(folder));
    command
}
