//! From a checked configuration to attached programs. What goes wrong here goes wrong before the
//! window begins.

use std::io;
use std::os::fd::AsRawFd;
use std::time::Instant;

use aya_log::EbpfLogger;
use stall_common::control::SEEDING;
use stall_common::disk::NAME_LEN;
use stall_common::layout::ABSENT;
use stall_common::params::Params;
use tokio::io::unix::AsyncFd;

use super::disks::HostDisks;
use super::held_signals::HeldSignals;
use super::session::{Parts, STACK_MIN_NS, Session};
use super::sources::{KernelLog, Sources, Stderr};
use crate::collect::maps::{self, Maps};
use crate::collect::names::Names;
use crate::collect::{budgets, clock, task_io};
use crate::config;
use crate::confine;
use crate::failure::Failure;
use crate::kernel::support::Facts;
use crate::overhead;
use crate::probe::coverage;
use crate::probe::loader::{self, Attached, Loaded};
use crate::probe::plan::{self, Step};
use crate::probe::sizes::{Limits, Sizes};
use crate::progress::Verbosity;
use stall_capture::{Confinement, Gap};
use stall_host::{HostRoot, block_device, system};

/// Programs that note who submits.
const NOTING: [&str; 2] = ["block_getrq", "block_getrq_three"];

/// Attaches everything, and gives up what is not needed any more if it is to.
pub(super) fn start(
    config: &config::Trace,
    facts: &Facts,
    started: Instant,
    confine: bool,
    limits: Limits,
) -> Result<(Session, Sources), Failure> {
    if !clock::matches_kernel() {
        let text = "this process is in a time namespace, whose clocks differ from the kernel's timestamps: run it outside";
        return Err(Failure::Other(text.to_owned()));
    }
    let steps = plan::plan(facts);
    if let Some((hook, why)) = plan::lacking(&steps) {
        return Err(Failure::HookMissing {
            hook: format!("{hook} ({why})"),
        });
    }
    let sizes = Sizes {
        limits,
        ..sizes(&config.host_root)
    };
    let held_signals = HeldSignals::begin();
    let mut loaded = load(config, facts, steps, &sizes)?;
    let (maps, sources) = take(&mut loaded, config, &sizes)?;
    let timing = overhead::Timing::start();
    // Its files lie on disks, which may hang from now on.
    let host = system::host(&config.host_root);
    let disks = block_device::disks(&config.host_root);
    let mut attached = loaded.attach()?;
    let host_disks = HostDisks::count(&config.host_root, &disks);
    // Before there is a thread that stays, which would keep signals away for ever.
    drop(held_signals);
    let start_ns = clock::monotonic_ns();
    let attach_ns = started.elapsed().as_nanos() as u64;
    // Before there is any other thread: what is given up is given up by this one and those it starts.
    let confinement = confine.then(|| give_up(&mut attached, &maps));
    let names =
        Names::start(config.host_root.clone()).map_err(|e| Failure::other("no thread", &e))?;
    let parts = Parts {
        attached,
        maps,
        timing,
        names,
        sizes,
        gaps: gaps(facts, &config.host_root),
        tells_io_wait: facts.layout.task_io_wait != ABSENT,
        host,
        host_disks,
        confinement,
        start_ns,
        attach_ns,
    };
    let mut session = Session::new(config, parts);
    // First of all: until then, the time of sleeps older than the window counts as before it.
    seed(&mut session);
    session.search_queues();
    session.host_disks.look(disks);
    Ok((session, sources))
}

fn gaps(facts: &Facts, root: &HostRoot) -> Vec<Gap> {
    let files = (!root.can_read_cached()).then(|| coverage::outside(&coverage::CACHED_FILES));
    coverage::gaps(facts).into_iter().chain(files).collect()
}

/// What the rest of the run does not need.
fn give_up(attached: &mut Attached, maps: &Maps) -> Confinement {
    confine::confine(|| {
        maps.budgets.get(&0, 0).is_ok()
            && loader::task_iterator(&mut attached.ebpf, "d_tasks").is_ok()
    })
}

/// Follows the tasks that were in D before the first hook.
fn seed(session: &mut Session) {
    // Without it such tasks are only missed; the iteration itself counts its failures.
    let _on = session.maps.switch(SEEDING, true);
    session.look_at_d_tasks();
    let _off = session.maps.switch(SEEDING, false);
    // Without room only the sum of those that are not kept is missing.
    let _room = task_io::make_room(&mut session.maps);
    let threads = session.look_at_writers();
    session.waits.wrote_before(threads);
}

fn load(
    config: &config::Trace,
    facts: &Facts,
    steps: Vec<Step>,
    sizes: &Sizes,
) -> Result<Loaded, Failure> {
    let params = Params {
        slow_ns: config.slow.as_nanos() as u64,
        stack_min_ns: STACK_MIN_NS,
        filter: u32::from(!config.disks.is_empty()),
        copies_mask: sizes.copies - 1,
        noted: NOTING
            .iter()
            .any(|program| plan::loads(&steps, program))
            .into(),
        typed_current: facts.typed_current.into(),
        rows: sizes.rows,
        reserved: 0,
    };
    let log = match config.verbosity {
        Verbosity::Verbose => loader::KernelLog::Debug,
        Verbosity::Normal | Verbosity::Quiet => loader::KernelLog::Off,
    };
    Ok(loader::load(steps, &facts.layout, &params, sizes, log)?)
}

fn take(
    loaded: &mut Loaded,
    config: &config::Trace,
    sizes: &Sizes,
) -> Result<(Maps, Sources), Failure> {
    let unusable =
        |error: &dyn std::fmt::Display| Failure::other("the BPF maps are unusable", error);
    let mut maps = Maps::take(&mut loaded.ebpf).map_err(|e| unusable(&e))?;
    budgets::begin(&mut maps);
    let given = maps.uses_given.set(0, u64::from(sizes.rows), 0);
    given.map_err(|e| unusable(&e))?;
    for disk in &config.disks {
        let wanted = maps.disk_filter.insert(name_key(&disk.name), 1, 0);
        wanted.map_err(|e| unusable(&e))?;
    }
    let records = maps::records(&mut loaded.ebpf).map_err(|e| unusable(&e))?;
    let sources = Sources {
        records: pollable(records).map_err(|e| unusable(&e))?,
        logs: match config.verbosity {
            Verbosity::Verbose => Some(kernel_log(loaded)?),
            Verbosity::Normal | Verbosity::Quiet => None,
        },
    };
    Ok((maps, sources))
}

fn kernel_log(loaded: &mut Loaded) -> Result<AsyncFd<KernelLog>, Failure> {
    let log = EbpfLogger::init_with_logger(&mut loaded.ebpf, Stderr)
        .map_err(|error| Failure::other("the programs' log cannot be read", &error))?;
    pollable(log).map_err(|error| Failure::other("the programs' log cannot be read", &error))
}

/// A disk's name as the kernel keeps it; what is too long is no kernel's name.
fn name_key(name: &str) -> [u8; NAME_LEN] {
    let mut key = [0; NAME_LEN];
    let len = name.len().min(NAME_LEN - 1);
    key[..len].copy_from_slice(&name.as_bytes()[..len]);
    key
}

/// Both kinds of ring own their map's descriptor.
fn pollable<T: AsRawFd>(ring: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: the descriptor is a field of the ring: it is the same, and open, for as long as the
    // `AsyncFd` that owns the ring lives.
    unsafe { AsyncFd::register(ring) }.map_err(Into::into)
}

fn sizes(root: &HostRoot) -> Sizes {
    let disks = block_device::disks(root);
    let tags = disks.iter().map(|disk| tags(root, &disk.name)).sum();
    let cpus = aya::util::nr_cpus().unwrap_or(1);
    Sizes::for_host(cpus as u32, disks.len() as u32, tags, page_bytes())
}

/// As the kernel says; the least there is where it does not.
fn page_bytes() -> u32 {
    let bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    let bytes = bytes
        .ok()
        .flatten()
        .and_then(|bytes| u32::try_from(bytes).ok());
    bytes.unwrap_or(4096)
}

/// Requests a disk can have at once: its queue's depth times its hardware queues.
fn tags(root: &HostRoot, disk: &str) -> u32 {
    let depth: u32 = root
        .number(format!("sys/block/{disk}/queue/nr_requests"))
        .unwrap_or(128);
    let queues = root.names(format!("sys/block/{disk}/mq")).len() as u32;
    depth.saturating_mul(queues.max(1)).min(1 << 20)
}
