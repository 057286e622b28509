//! Waits that no request shows: sleep in D by what it was for, held against the requests of the same workload.

use crate::total::Total as _;
use std::collections::{BTreeMap, BTreeSet};

use stall_capture::Capture;
use stall_report::model::{BlockedTask, Confidence, Kind, Reason};

use super::disk::Work;
use super::finding::{Culprits, Finding};
use super::rules;
use super::workload::{Base, Scope, Workloads};
use crate::findings::Findings;
use crate::reason::is_storage;

/// What a sleep in D is for, as far as the judge tells it apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum For {
    Server,
    Frozen,
    Stacked,
    Limit,
    Dirty,
    Memory,
    Lock,
    /// Requests of its own, or what looks like them.
    Io,
    Other,
}

fn purpose(reason: Reason, family: Option<&str>) -> For {
    match reason {
        _ if !is_storage(reason, family) && reason != Reason::MemoryReclaim => For::Other,
        Reason::UserSpaceServer | Reason::NetworkStorage => For::Server,
        Reason::FrozenFilesystem => For::Frozen,
        Reason::StackedDevice => For::Stacked,
        Reason::BlockThrottle => For::Limit,
        Reason::DirtyThrottling | Reason::WritebackThrottling => For::Dirty,
        Reason::MemoryReclaim | Reason::Swap => For::Memory,
        Reason::Lock | Reason::Journal => For::Lock,
        Reason::Read
        | Reason::Write
        | Reason::Flush
        | Reason::PageLock
        | Reason::PageWriteback
        | Reason::Zeroout
        | Reason::RequestTag
        | Reason::QueueFrozen
        | Reason::OtherIo
        | Reason::Unknown => For::Io,
        Reason::Discard | Reason::Other => For::Other,
    }
}

/// Time of one workload's most blocked thread, by purpose.
struct Sleeper {
    base: Base,
    by: BTreeMap<For, u64>,
    /// Whose clients it waited in, of servers.
    servers: BTreeSet<String>,
    /// Since when it has slept without a break, when it still does.
    since_ns: Option<u64>,
    from_ns: u64,
    to_ns: u64,
}

/// Who waits for the same thing, and how long.
type ByKind<'a> = BTreeMap<(Kind, Option<String>), Vec<(&'a Sleeper, u64)>>;

/// What workloads waited for beside the requests of disks; `hurt` are those whom a finding on a disk explains.
pub(super) fn findings(
    capture: &Capture,
    found: &Findings,
    workloads: &Workloads<'_>,
    on_disks: &[Finding],
    told_ns: u64,
) -> (Vec<Finding>, f64) {
    let window = (capture.window.start_ns, capture.window.end_ns);
    let length = capture.window.length_ns().max(1);
    if !capture.settings.devices.is_empty() {
        // Whoever asked for one disk asked for nothing else, and other disks' requests were not seen.
        return (Vec::new(), 0.0);
    }
    let mut by_kind = ByKind::new();
    let mut unseen_share: f64 = 0.0;
    let sleepers = sleepers(found, workloads, window);
    for sleeper in &sleepers {
        let requests_ns = requests(capture, workloads, sleeper.base);
        let explained = on_disks
            .iter()
            .any(|finding| is_of(workloads, finding, sleeper.base));
        for (purpose, &ns) in &sleeper.by {
            let Some((kind, what)) = kind(
                capture,
                workloads,
                sleeper,
                *purpose,
                ns,
                requests_ns,
                explained,
            ) else {
                continue;
            };
            if ns < told_ns.max((length as f64 * rules::CALM_SHARE) as u64) {
                continue;
            }
            unseen_share = unseen_share.max(ns as f64 / length as f64);
            let long = ns >= rules::BLOCKED_NS || ns as f64 >= rules::BLOCKED_SHARE * length as f64;
            if long {
                by_kind.entry((kind, what)).or_default().push((sleeper, ns));
            }
        }
    }
    let rows = by_kind.into_iter().map(|((kind, what), rows)| {
        let lost: BTreeMap<Base, u64> = rows.iter().map(|(one, ns)| (one.base, *ns)).collect();
        let victims: Vec<Base> = lost.keys().copied().collect();
        let most = lost.values().copied().max().unwrap_or(0);
        let long = most as f64 >= rules::BLOCKED_SHARE * length as f64;
        let culprits = culprits(workloads, kind, &victims);
        let confidence = match kind {
            Kind::NotVisible => None,
            Kind::Memory | Kind::DirtyThrottling if !long => Some(Confidence::Low),
            Kind::UpstreamStorage | Kind::Frozen | Kind::CgroupLimit | Kind::Suspended => {
                Some(Confidence::High)
            }
            _ if long => Some(Confidence::Medium),
            _ => Some(Confidence::Low),
        };
        Finding {
            confidence,
            start_ns: rows
                .iter()
                .map(|(one, _)| one.from_ns)
                .min()
                .unwrap_or(window.0),
            end_ns: rows
                .iter()
                .map(|(one, _)| one.to_ns)
                .max()
                .unwrap_or(window.1),
            goes_on: rows.iter().any(|(one, _)| one.since_ns.is_some()),
            culprits,
            what,
            ..Finding::new(kind)
        }
        .with_victims(&victims, &lost)
    });
    let mut all: Vec<Finding> = rows.collect();
    all.extend(lock(found, workloads, on_disks, window, told_ns));
    all.extend(cpu(capture, workloads, length));
    (all, unseen_share)
}

fn is_of(workloads: &Workloads<'_>, finding: &Finding, base: Base) -> bool {
    let is_victim = finding.victims.iter().any(|(victim, _)| *victim == base);
    let is_culprit = finding.culprits.iter().any(|one| one.bases.contains(&base));
    // A journal's thread waits on behalf of all who use the filesystem.
    let for_others = finding
        .victims
        .iter()
        .any(|(victim, _)| workloads.get(*victim).is_kernel);
    is_victim || is_culprit || for_others
}

fn sleepers(found: &Findings, workloads: &Workloads<'_>, window: (u64, u64)) -> Vec<Sleeper> {
    let mut most: BTreeMap<Base, Sleeper> = BTreeMap::new();
    for task in found
        .blocked
        .iter()
        .filter(|task| !task.process.kernel_thread)
    {
        let Some(base) = workloads.of_pid(task.process.pid) else {
            continue;
        };
        if workloads.get(base).is_self {
            continue;
        }
        let sleeper = sleeper(task, base, window);
        let sum = |one: &Sleeper| one.by.values().total();
        match most.get(&base) {
            Some(other) if sum(other) >= sum(&sleeper) => {}
            _ => {
                most.insert(base, sleeper);
            }
        }
    }
    most.into_values().collect()
}

fn sleeper(task: &BlockedTask, base: Base, window: (u64, u64)) -> Sleeper {
    let mut by = BTreeMap::<For, u64>::new();
    let mut add = |purpose: For, ns: u64| {
        if ns > 0 {
            let sum = by.entry(purpose).or_default();
            *sum = sum.saturating_add(ns);
        }
    };
    for row in &task.stacks {
        add(purpose(row.reason, row.family.as_deref()), row.blocked_ns);
    }
    add(For::Io, task.short_ns);
    if let Some(sleep) = &task.unfinished {
        add(
            purpose(sleep.reason, sleep.family.as_deref()),
            sleep.in_window_ns,
        );
    }
    let ended = task.stacks.iter().map(|row| (row.reason, &row.family));
    let unfinished = task.unfinished.iter();
    let waits = ended.chain(unfinished.map(|sleep| (sleep.reason, &sleep.family)));
    let servers = waits.filter_map(|(reason, family)| {
        let family = family.as_ref()?;
        (purpose(reason, Some(family)) == For::Server).then(|| family.clone())
    });
    let servers = servers.collect();
    let starts = task.long_sleeps.iter().map(|sleep| sleep.start_ns);
    let ends = task.long_sleeps.iter().map(|sleep| sleep.end_ns);
    let since_ns = task.unfinished.as_ref().map(|sleep| sleep.start_ns);
    Sleeper {
        base,
        by,
        servers,
        since_ns,
        from_ns: starts.chain(since_ns).min().unwrap_or(window.0),
        to_ns: match since_ns {
            Some(_) => window.1,
            None => ends.max().unwrap_or(window.1),
        },
    }
}

/// Time that requests of a workload took, on the disk where they took longest.
fn requests(capture: &Capture, workloads: &Workloads<'_>, base: Base) -> u64 {
    let mut by_disk = BTreeMap::<u16, u64>::new();
    for used in &capture.uses {
        if workloads.of_actor(used.actor) == base {
            let sum = by_disk.entry(used.disk).or_default();
            *sum = sum.saturating_add(used.total_ns);
        }
    }
    by_disk.into_values().max().unwrap_or(0)
}

fn kind(
    capture: &Capture,
    workloads: &Workloads<'_>,
    sleeper: &Sleeper,
    purpose: For,
    ns: u64,
    requests_ns: u64,
    explained: bool,
) -> Option<(Kind, Option<String>)> {
    let waits = &capture.host_waits;
    match purpose {
        For::Server => Some((Kind::UpstreamStorage, server(capture, &sleeper.servers))),
        For::Frozen => Some((Kind::Frozen, frozen(capture))),
        For::Limit => Some((Kind::CgroupLimit, limit(capture, workloads, sleeper.base))),
        For::Dirty => Some((Kind::DirtyThrottling, None)),
        For::Memory => Some((Kind::Memory, None)),
        For::Stacked => suspended(capture)
            .map(|name| (Kind::Suspended, Some(name)))
            .or_else(|| (!explained).then_some((Kind::NotVisible, None))),
        For::Lock if !waits.frozen.is_empty() && !explained => {
            Some((Kind::Frozen, frozen(capture)))
        }
        For::Io if !explained && (requests_ns as f64) < rules::EXPLAINED * ns as f64 => {
            if let Some(name) = suspended(capture) {
                return Some((Kind::Suspended, Some(name)));
            }
            let limit = limit(capture, workloads, sleeper.base);
            if limit.is_some() || is_throttled(capture, workloads) {
                return Some((Kind::CgroupLimit, limit));
            }
            Some((Kind::NotVisible, None))
        }
        For::Lock | For::Io | For::Other => None,
    }
}

/// The servers of the mounts whose clients were waited in; the clients when no mount is theirs.
fn server(capture: &Capture, clients: &BTreeSet<String>) -> Option<String> {
    let of_client = |filesystem: &str| clients.iter().any(|one| serves(one, filesystem));
    let servers = capture.host_waits.servers.iter();
    let servers = servers.filter(|one| of_client(&one.filesystem)).take(3);
    let names: Vec<String> = servers
        .map(|one| format!("{} ({}) on {}", one.source, one.filesystem, one.mount_point))
        .collect();
    if names.is_empty() {
        let clients: Vec<&str> = clients.iter().map(String::as_str).collect();
        return (!clients.is_empty()).then(|| clients.join(", or "));
    }
    Some(names.join(", or "))
}

/// Whether a mount of that kind is a client's: `nfs4` of `nfs`, `fuse.sshfs` of `fuse`.
fn serves(client: &str, filesystem: &str) -> bool {
    match client {
        "cifs" => ["cifs", "smb3"].contains(&filesystem),
        // Others' pages are kept by it.
        "netfs" => ["9p", "afs", "ceph", "cifs", "smb3", "nfs", "nfs4"].contains(&filesystem),
        "dlm" => ["gfs2", "ocfs2"].contains(&filesystem),
        // Its requests are FUSE's.
        "fuse" => filesystem.starts_with("fuse") || filesystem == "virtiofs",
        _ => filesystem.starts_with(client),
    }
}

fn frozen(capture: &Capture) -> Option<String> {
    let all = capture.host_waits.frozen.iter();
    let points: Vec<&str> = all
        .flat_map(|one| one.mount_points.iter().map(String::as_str))
        .collect();
    (!points.is_empty()).then(|| points.join(", "))
}

fn suspended(capture: &Capture) -> Option<String> {
    let mut disks = capture.disks.iter();
    let disk = disks.find(|disk| disk.state.suspended == Some(true))?;
    Some(disk.name.clone())
}

/// A limit on I/O of a workload's control group, or of one above it.
fn limit(capture: &Capture, workloads: &Workloads<'_>, base: Base) -> Option<String> {
    let one = workloads.get(base);
    let of_group = |group: &str| {
        let lines = one.processes.iter().flat_map(|process| &process.cgroup);
        let mut paths = lines.map(|line| line.splitn(3, ':').nth(2).unwrap_or(""));
        group != "/"
            && (paths.any(|path| {
                path == group
                    || path
                        .strip_prefix(group)
                        .is_some_and(|rest| rest.starts_with('/'))
            }) || one.scope == Scope::Cgroup(group.to_owned()))
    };
    let is_io = |file: &str| !file.starts_with("memory");
    let mut limits = capture.host_waits.limits.iter();
    let limit = limits.find(|limit| is_io(&limit.file) && of_group(&limit.cgroup))?;
    Some(format!(
        "{} of {} ({}:{} {})",
        limit.file, limit.cgroup, limit.major, limit.minor, limit.value
    ))
}

/// Requests were sent by the worker that sends what a limit held back.
fn is_throttled(capture: &Capture, workloads: &Workloads<'_>) -> bool {
    let mut uses = capture.uses.iter().filter(|used| used.ops > 0);
    uses.any(|used| {
        let one = workloads.get(workloads.of_actor(used.actor));
        one.is_kernel
            && one.processes.iter().any(|process| {
                let worker = process.worker.as_deref().unwrap_or("");
                worker.contains("kthrotld") || process.comm.contains("kthrotld")
            })
    })
}

/// Who dirtied the pages that writers wait for, or whose memory it is.
fn culprits(workloads: &Workloads<'_>, kind: Kind, victims: &[Base]) -> Vec<Culprits> {
    if kind != Kind::DirtyThrottling {
        return Vec::new();
    }
    let all = workloads.dirtiers();
    let sum: u64 = all.iter().map(|(_, bytes)| bytes).total();
    let Some((base, bytes)) = all.first() else {
        return Vec::new();
    };
    let share = *bytes as f64 / sum.max(1) as f64;
    if share < rules::CAUSE || (victims.len() == 1 && victims[0] == *base) {
        return Vec::new();
    }
    vec![Culprits {
        bases: vec![*base],
        share,
        work: Work::Io,
    }]
}

/// A process that holds a lock others wait for, and is not itself held up by a disk.
fn lock(
    found: &Findings,
    workloads: &Workloads<'_>,
    on_disks: &[Finding],
    window: (u64, u64),
    told_ns: u64,
) -> Option<Finding> {
    let mut by_holder = BTreeMap::<u32, BTreeMap<Base, u64>>::new();
    let mut all_ns = 0u64;
    for chain in &found.chains {
        let (Some(first), Some(last)) = (chain.links.first(), chain.links.last()) else {
            continue;
        };
        if first.kernel_thread {
            continue;
        }
        all_ns = all_ns.saturating_add(chain.waited_ns);
        let waits_for_disk = last.device.is_some() && !on_disks.is_empty();
        let Some(victim) = workloads.of_pid(first.pid) else {
            continue;
        };
        if chain.links.len() > 1 && first.pid != last.pid && !last.kernel_thread && !waits_for_disk
        {
            let sum = by_holder
                .entry(last.pid)
                .or_default()
                .entry(victim)
                .or_default();
            *sum = sum.saturating_add(chain.waited_ns);
        }
    }
    let (holder, lost) = by_holder
        .into_iter()
        .max_by_key(|(_, lost)| lost.values().total())?;
    let base = workloads.of_pid(holder)?;
    let sum: u64 = lost.values().total();
    let share = sum as f64 / all_ns.max(1) as f64;
    let most = lost.values().copied().max().unwrap_or(0);
    if most < told_ns.max(rules::BLOCKED_NS / 2) || share < rules::CAUSE {
        return None;
    }
    let victims: Vec<Base> = lost.keys().copied().filter(|one| *one != base).collect();
    Some(Finding {
        confidence: Some(if share >= rules::SURE {
            Confidence::High
        } else {
            Confidence::Medium
        }),
        start_ns: window.0,
        end_ns: window.1,
        share: Some(share),
        culprits: vec![Culprits {
            bases: vec![base],
            share,
            work: Work::Io,
        }],
        ..Finding::new(Kind::LockHolder).with_victims(&victims, &lost)
    })
}

/// Processes of virtual machines and their storage that were ready to run and had no CPU.
fn cpu(capture: &Capture, workloads: &Workloads<'_>, length: u64) -> Option<Finding> {
    let rows = capture.host_waits.cpu.iter();
    let rows =
        rows.filter(|row| row.most_of_one_thread_ns as f64 >= rules::CPU_SHARE * length as f64);
    let lost: BTreeMap<Base, u64> = rows
        .filter_map(|row| {
            Some((
                workloads.of_pid(row.process.pid)?,
                row.most_of_one_thread_ns,
            ))
        })
        .collect();
    let victims: Vec<Base> = lost.keys().copied().collect();
    (!victims.is_empty()).then(|| {
        Finding {
            confidence: Some(Confidence::Medium),
            start_ns: capture.window.start_ns,
            end_ns: capture.window.end_ns,
            ..Finding::new(Kind::Cpu)
        }
        .with_victims(&victims, &lost)
    })
}
