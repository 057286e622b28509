//! The kernel's own event log, as another witness of what happened.
//!
//! Contract: an instance of its own on a tracefs mounted for it; both go when dropped, and on a
//! signal. What others trace is not touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use stall_tests::interrupt::{self, TakeDown};

use super::skip::Skip;

#[derive(Debug)]
struct Instance {
    mount: PathBuf,
    folder: PathBuf,
}

impl TakeDown for Instance {
    fn take_down(&self) {
        // What is gone already need not go again.
        let _ = fs::write(self.folder.join("tracing_on"), "0");
        let _ = fs::remove_dir(&self.folder);
        let _ = umount2(&self.mount, MntFlags::MNT_DETACH);
        let _ = fs::remove_dir(&self.mount);
    }
}

/// Events of one disk being logged.
#[derive(Debug)]
pub(crate) struct EventLog {
    instance: Arc<Instance>,
}

impl EventLog {
    /// Logs these events of group `block` for a device number.
    pub(crate) fn start(events: &[&str], (major, minor): (u64, u64)) -> Result<Self> {
        let log = Self::new()?;
        let filter = format!("dev == {}", major << 20 | minor);
        log.set("trace_clock", "mono")?;
        for event in events {
            log.set(&format!("events/block/{event}/filter"), &filter)?;
            log.set(&format!("events/block/{event}/enable"), "1")?;
        }
        Ok(log)
    }

    /// Logs these events (`group/event`), each with a filter or none, of everybody.
    pub(crate) fn of(events: &[(&str, &str)]) -> Result<Self> {
        let log = Self::new()?;
        for (event, filter) in events {
            if !log.instance.folder.join("events").join(event).is_dir() {
                return Err(Skip(format!("this kernel has no event {event}")).into());
            }
            if !filter.is_empty() {
                log.set(&format!("events/{event}/filter"), filter)?;
            }
            log.set(&format!("events/{event}/enable"), "1")?;
        }
        Ok(log)
    }

    /// The events so far, as the kernel writes them.
    pub(crate) fn lines(&self) -> Result<Vec<String>> {
        let text = read(&self.instance.folder.join("trace"))?;
        let events = text.lines().filter(|line| !line.starts_with('#'));
        Ok(events.map(str::to_owned).collect())
    }

    fn new() -> Result<Self> {
        let mount_point =
            std::env::temp_dir().join(format!("stall-tracefs-{}", std::process::id()));
        fs::create_dir_all(&mount_point)?;
        let none: Option<&str> = None;
        mount(
            Some("tracefs"),
            &mount_point,
            Some("tracefs"),
            MsFlags::empty(),
            none,
        )
        .map_err(|errno| Skip(format!("tracefs cannot be mounted ({errno})")))?;
        let folder = mount_point.join(format!("instances/stall-{}", std::process::id()));
        let instance = Arc::new(Instance {
            mount: mount_point,
            folder,
        });
        let log = Self { instance };
        interrupt::register(&log.instance)?;
        fs::create_dir(&log.instance.folder).context("making a tracing instance")?;
        Ok(log)
    }

    fn set(&self, file: &str, value: &str) -> Result<()> {
        let path = self.instance.folder.join(file);
        fs::write(&path, value).with_context(|| format!("writing {}", path.display()))
    }

    /// The events so far: `(event, name of the running task)`.
    pub(crate) fn events(&self) -> Result<Vec<(String, String)>> {
        let text = read(&self.instance.folder.join("trace"))?;
        Ok(text.lines().filter_map(event).collect())
    }

    /// How many events of one name there are so far.
    pub(crate) fn count(&self, event: &str) -> Result<u64> {
        let events = self.events()?;
        Ok(events.iter().filter(|(name, _)| name == event).count() as u64)
    }
}

impl Drop for EventLog {
    fn drop(&mut self) {
        self.instance.take_down();
    }
}

fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `  fstrim-123   [001] d..2.  12.345678: block_rq_issue: 7,3 D ...`
fn event(line: &str) -> Option<(String, String)> {
    if line.starts_with('#') {
        return None;
    }
    let (before, after) = line.split_once(" [")?;
    let (task, _pid) = before.trim().rsplit_once('-')?;
    let (_stamp, rest) = after.split_once(": ")?;
    let (name, _) = rest.split_once(':')?;
    Some((name.to_owned(), task.to_owned()))
}
