//! One machine: booted, listened to, answered, ended.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::disks::{Disk, KINDS};
use super::parts::Parts;
use super::running::Running;
use super::turn::Turn;
use crate::lab::kernel::Arch;

/// What the guest's lines that count begin with, and its last one (`stall_tests::guest`).
const MARK: &str = "@@ ";
const END: &str = "@@ end";
/// Begins what it asks us for, and a capture.
const ASK: &str = "@? ";
const CAPTURE: &str = "@> ";
/// Beyond the time for the checks, for the boot and the last of them.
const GRACE: Duration = Duration::from_secs(420);
/// Lines of the console kept for a machine that does not come to its end.
const KEPT: usize = 12;

/// What a guest said, without the mark; what it said before it failed, too.
pub(super) fn run(parts: &Parts, turn: &Turn, within: Duration) -> (Vec<String>, Result<()>) {
    let mut said = Vec::new();
    let result = play(parts, turn, within, &mut said);
    (said, result)
}

fn play(parts: &Parts, turn: &Turn, within: Duration, said: &mut Vec<String>) -> Result<()> {
    let disks = KINDS.iter();
    let disks = disks.map(|kind| Disk::serve(&parts.images, &parts.emulators, &turn.name, kind));
    let disks: Vec<Disk> = disks.collect::<Result<_>>()?;
    let mut command = command(parts, turn, within, &disks)?;
    let mut machine = Running(command.spawn().context("QEMU does not start")?);
    let mut console = Console {
        answers: machine.0.stdin.take().context("it has a console")?,
        lines: lines_of(&mut machine.0),
        end: Instant::now() + within + GRACE,
        unmarked: Vec::new(),
    };
    let ended = console.listen(parts, turn.kernel.name, &disks, said);
    let log = parts.folder.join(format!("{}.console", turn.name));
    fs::write(&log, console.unmarked.join("\n"))?;
    ended.with_context(|| format!("{} (all of it: {})", console.last(), log.display()))
}

fn command(parts: &Parts, turn: &Turn, within: Duration, disks: &[Disk]) -> Result<Command> {
    let kernel = &turn.kernel;
    let boot = parts
        .kernels
        .get(kernel.name)
        .context("the kernel was prepared")?;
    let mut command = parts.emulators.command(kernel.arch);
    let (machine, console) = match kernel.arch {
        // A busy host is late with the interrupts by which a kernel would see whether its timer works, and panics without.
        Arch::Amd64 => (["-machine", "pc", "-cpu", "max"], "ttyS0 no_timer_check"),
        Arch::Arm64 => (
            ["-machine", "virt,gic-version=3", "-cpu", "cortex-a76"],
            "ttyAMA0",
        ),
    };
    command.args(machine);
    command.args(["-accel", "tcg,thread=multi"]);
    command.args(["-smp", turn.cpus, "-m", "1024"]);
    command.args(["-nodefaults", "-no-reboot", "-display", "none"]);
    command.args(["-serial", "stdio"]);
    command.arg("-kernel").arg(&boot.image);
    command.arg("-initrd").arg(&boot.initramfs);
    let checks = format!(
        "stall.checks={} stall.but={} stall.seconds={}",
        turn.checks,
        turn.but.unwrap_or_default(),
        within.as_secs()
    );
    // With one CPU requests end in the order in which the disk ended them; a check puts the other one in and takes it out.
    let line = format!("console={console} maxcpus=1 quiet panic=-1 rdinit=/init {checks}");
    command.args(["-append", &line]);
    command.args(["-device", "virtio-scsi-pci"]);
    for disk in disks {
        let (name, path) = (disk.kind.name, disk.socket());
        let path = path.to_str().context("a path that is text")?;
        let node = format!(
            "driver=nbd,node-name={name},server.type=unix,server.path={path},discard=unmap"
        );
        let device = match name {
            "nvme" => format!("nvme,drive={name},serial=lab"),
            "scsi" => format!("scsi-hd,drive={name}"),
            _ => format!("virtio-blk-pci,drive={name}"),
        };
        command.args(["-blockdev", &node, "-device", &device]);
    }
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    Ok(command)
}

/// A guest's console: what it says, and where it is answered.
struct Console {
    answers: ChildStdin,
    lines: Receiver<String>,
    end: Instant,
    unmarked: Vec<String>,
}

impl Console {
    fn listen(
        &mut self,
        parts: &Parts,
        kernel: &str,
        disks: &[Disk],
        said: &mut Vec<String>,
    ) -> Result<()> {
        loop {
            let left = self.end.saturating_duration_since(Instant::now());
            let line = match self.lines.recv_timeout(left) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => bail!("it did not come to its end in time"),
                Err(RecvTimeoutError::Disconnected) => bail!("it ended early"),
            };
            if line.starts_with(END) {
                return Ok(());
            } else if let Some(counts) = line.strip_prefix(MARK) {
                eprintln!("{kernel}: {counts}");
                said.push(counts.to_owned());
            } else if let Some(asked) = line.strip_prefix(ASK) {
                let answer = self.answers.write_all(answer(asked, disks).as_bytes());
                answer.context("its console takes no answer")?;
            } else if let Some((name, capture)) = line
                .strip_prefix(CAPTURE)
                .and_then(|line| line.split_once(' '))
            {
                let file = format!("{kernel}-{name}.capture.json");
                fs::write(parts.folder.join(file), capture)?;
            } else {
                self.unmarked.push(line);
            }
        }
    }

    fn last(&self) -> String {
        let from = self.unmarked.len().saturating_sub(KEPT);
        format!(
            "its console's last lines: {}",
            self.unmarked[from..].join(" / ")
        )
    }
}

/// `hang DISK` or `release DISK`.
fn answer(asked: &str, disks: &[Disk]) -> String {
    let (word, name) = asked.split_once(' ').unwrap_or((asked, ""));
    let disk = disks.iter().find(|disk| disk.kind.guest == name);
    let done = match (word, disk) {
        ("hang", Some(disk)) => disk.stand_still(true),
        ("release", Some(disk)) => disk.stand_still(false),
        _ => return format!("nobody knows how to {asked}\n"),
    };
    done.map_or_else(|error| format!("{error:#}\n"), |()| "done\n".to_owned())
}

fn lines_of(machine: &mut Child) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        machine.stdout.take().map(|output| Box::new(output) as _),
        machine.stderr.take().map(|output| Box::new(output) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let sender = sender.clone();
        thread::spawn(move || read_lines(output, &sender));
    }
    lines
}

fn read_lines(output: Box<dyn Read + Send>, to: &mpsc::Sender<String>) {
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines
        .read_until(b'\n', &mut line)
        .is_ok_and(|length| length > 0)
    {
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        line.clear();
        if to.send(text).is_err() {
            return;
        }
    }
}
