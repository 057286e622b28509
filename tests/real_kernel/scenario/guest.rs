//! A virtual machine that discards on its own volume; the physical disk below is quiet.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use stall_agent::report::model::Kind;
use stall_tests::block_io::program::Program;
use stall_tests::scratch::Scratch;
use stall_tests::slow_disk::{Delay, LockMode, Op};
use stall_tests::spawned::{Spawned, program_beside};
use stall_tests::staged::StagedDisk;

use super::cast::{reader, staged};
use super::scene::{Must, Scene};
use crate::harness::load::Load;
use crate::harness::test::Test;

pub(super) const TESTS: &[Test] = &[
    Test::new("a_guests_own_discards_are_the_guests", own),
    Test::new(
        "a_guests_discards_that_delay_another_are_the_guests",
        others,
    ),
];

const EMULATOR: &str = "qemu-system-x86_64";
const LEAD: Duration = Duration::from_millis(1_500);

/// A process that looks like an emulator's, with a thread that reads and one that discards for a part of the
/// window.
struct Guest {
    _process: Spawned,
    _folder: Scratch,
}

impl Guest {
    fn start(disk: &StagedDisk, reads: bool) -> Result<Self> {
        let folder = Scratch::new()?;
        let copy = folder.copy(&program_beside("direct-io")?, EMULATOR)?;
        let discards = ["sleep:2500", "discard:67108864:67108864:45"];
        let read = ["read:0:4096:8:65536", "sleep:4"];
        let words = |steps: &[&str]| steps.iter().map(|&step| step.to_owned()).collect();
        let program = Program {
            repeat: Duration::from_secs(9),
            path: disk.device(),
            steps: words(&discards),
            beside: if reads { words(&read) } else { Vec::new() },
            ..Program::default()
        };
        let name = ["-name", "guest=default_vm1,debug-threads=on"];
        let mut command = program.command_of(&copy, &name)?;
        Ok(Self {
            _process: Spawned::start(command.stdin(Stdio::null()))?,
            _folder: folder,
        })
    }
}

struct Disks {
    volume: StagedDisk,
    physical: StagedDisk,
    _quiet: Load,
}

fn disks() -> Result<Disks> {
    let volume = staged(11)
        .size(8 << 30)
        .lock(LockMode::DiscardExclusive)
        .delay(Op::Discard, Delay::uniform(35_000, 65_000))
        .delay(Op::Read, Delay::uniform(200, 400))
        .start()?;
    let physical = staged(12)
        .delay(Op::Read, Delay::uniform(200, 400))
        .start()?;
    Ok(Disks {
        _quiet: reader("longhorn", &physical.device())?,
        volume,
        physical,
    })
}

/// Check that a guest that waits for its own discards is told so.
fn own() -> Result<()> {
    let disks = disks()?;
    let guest = Guest::start(&disks.volume, true)?;
    judged("guest_trim_own", &disks, &guest)
}

/// Check that a guest's discards that hold up another process on its volume are told as the guest's.
fn others() -> Result<()> {
    let disks = disks()?;
    let _backup = reader("backup", &disks.volume.device())?;
    let guest = Guest::start(&disks.volume, false)?;
    judged("guest_trim_others", &disks, &guest)
}

fn judged(name: &'static str, disks: &Disks, _guest: &Guest) -> Result<()> {
    let scene = Scene::on(name, &disks.volume).and(&disks.physical);
    let (played, ()) = scene.play(|| {
        thread::sleep(LEAD);
        Ok(())
    })?;
    // `comm` is cut to 15 characters.
    let must = Must::be(Kind::GuestTrim).on(&disks.volume);
    played.must(&must.by(&[&EMULATOR[..15]]))
}
