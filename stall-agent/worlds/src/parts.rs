//! What families are made of: disks, parties and what they do, drawn as widely as the field has them.

use crate::dice::Dice;
use crate::world::{
    Arrivals, Class, DiscardCost, DiscardEffect, Disk, Does, Job, KIB, MS, Ns, Party, Phase, S,
    Seek, Stream, US, Who, WhoKind, Work, WorkKind, World, WriteCache,
};

/// Sectors of a region of its own that each stream has.
const REGION: u64 = 100_000_000;

/// A window of `low` to `high` seconds without anything in it but one disk.
#[must_use]
pub fn world(dice: &mut Dice, disk: Disk, (low, high): (f64, f64)) -> World {
    World {
        seed: dice.below(u64::MAX),
        before: 2 * S,
        window: (dice.log(low, high) as Ns) * S,
        disks: vec![disk],
        parties: Vec::new(),
        journals: Vec::new(),
        caches: Vec::new(),
        freezes: Vec::new(),
        episodes: Vec::new(),
        coincident: false,
    }
}

/// Solid state; a read of 4 KiB takes between these, ns.
#[must_use]
pub fn flash(dice: &mut Dice, (low, high): (Ns, Ns)) -> Disk {
    let read_ns = dice.time(low, high);
    let served_at_once = *dice.pick(&[1, 1, 2, 4, 8]);
    let tags = *dice.pick(&[64, 128, 256, 1_023]);
    Disk {
        name: "nvme0n1".to_owned(),
        class: Class::Flash,
        served_at_once,
        depth: tags,
        tags,
        nearest_first: false,
        read_ns,
        write_ns: (read_ns as f64 * dice.log(0.4, 1.5)) as Ns,
        ns_per_kib: dice.time(300, 3_000) * u64::from(served_at_once),
        seek: None,
        network_ns: 0,
        discards: harmless_discards(dice),
        cache: dice.chance(0.7).then(|| WriteCache {
            flush_ns: dice.time(100 * US, 2 * MS),
            flush_ns_per_mib: dice.time(US, 100 * US),
            exclusive: dice.chance(0.5),
        }),
        slowness: 1.0,
        flush_slowness: 1.0,
        phases: Vec::new(),
        bad: None,
        limit: None,
        hangs_in_discard_at: None,
    }
}

/// A hard disk.
#[must_use]
pub fn hard_disk(dice: &mut Dice) -> Disk {
    Disk {
        name: "sda".to_owned(),
        class: Class::Rotational,
        served_at_once: 1,
        depth: *dice.pick(&[1, 31, 32]),
        tags: *dice.pick(&[64, 256]),
        nearest_first: dice.chance(0.7),
        read_ns: 200 * US,
        write_ns: 200 * US,
        ns_per_kib: dice.time(4_000, 10_000),
        seek: Some(Seek {
            across_ns: dice.time(12 * MS, 22 * MS),
            turn_ns: *dice.pick(&[5_500 * US, 8_333 * US, 11_111 * US]),
        }),
        cache: dice.chance(0.8).then(|| WriteCache {
            flush_ns: dice.time(4 * MS, 15 * MS),
            flush_ns_per_mib: 2 * MS,
            exclusive: true,
        }),
        ..flash(dice, (100 * US, 200 * US))
    }
}

/// A server behind a network.
#[must_use]
pub fn server(dice: &mut Dice) -> Disk {
    Disk {
        name: "sdb".to_owned(),
        class: Class::Network,
        served_at_once: *dice.pick(&[4, 8, 16, 32]),
        depth: 128,
        tags: 128,
        network_ns: dice.time(300 * US, 4 * MS),
        cache: None,
        ..flash(dice, (100 * US, MS))
    }
}

/// Any of the three.
#[must_use]
pub fn any_disk(dice: &mut Dice) -> Disk {
    match dice.part() {
        part if part < 0.6 => flash(dice, (50 * US, 2 * MS)),
        part if part < 0.8 => server(dice),
        _ => hard_disk(dice),
    }
}

fn harmless_discards(dice: &mut Dice) -> DiscardCost {
    DiscardCost {
        effect: DiscardEffect::Free,
        each_ns: dice.time(100 * US, 20 * MS),
        ns_per_mib: dice.time(100, 20 * US),
    }
}

/// Time of a request that is alone, with an average seek.
#[must_use]
pub fn alone_ns(disk: &Disk, kind: WorkKind, bytes: u64) -> Ns {
    let work = Work {
        kind,
        bytes,
        noise: 1.0,
    };
    disk.alone_ns(&work, REGION / 3)
}

/// Requests of a size that a disk can do in a second.
#[must_use]
pub fn capacity(disk: &Disk, kind: WorkKind, bytes: u64) -> f64 {
    f64::from(disk.served_at_once) * S as f64 / alone_ns(disk, kind, bytes) as f64
}

/// All of the time.
#[must_use]
pub fn always(world: &World) -> Vec<(Ns, Ns)> {
    vec![(0, world.end())]
}

/// A part of the window, both as parts of 1 of it.
#[must_use]
pub fn during(world: &World, from: f64, to: f64) -> Vec<(Ns, Ns)> {
    let at = |part: f64| world.before + (part * world.window as f64) as Ns;
    vec![(at(from), at(to))]
}

/// A stream on the first disk that waits for each of its requests.
#[must_use]
pub fn stream(
    dice: &mut Dice,
    arrivals: Arrivals,
    jobs: Vec<(f64, Job)>,
    active: Vec<(Ns, Ns)>,
) -> Stream {
    let region = dice.below(35) * REGION;
    Stream {
        process: 0,
        disk: 0,
        arrivals,
        jobs,
        active,
        sleeps: true,
        ahead: false,
        sectors: (region, region + REGION),
        sequential: false,
        jobs_of_a_process: None,
    }
}

/// So long between two, `at_once` of them.
#[must_use]
pub const fn closed(think_ns: Ns, at_once: u32) -> Arrivals {
    Arrivals::Closed { think_ns, at_once }
}

/// A read of some KiB.
#[must_use]
pub const fn read(kib: u64) -> (f64, Job) {
    (
        1.0,
        Job::Read {
            bytes: (kib * KIB) as u32,
        },
    )
}

/// A write of some KiB.
#[must_use]
pub const fn write(kib: u64) -> (f64, Job) {
    (
        1.0,
        Job::Write {
            bytes: (kib * KIB) as u32,
        },
    )
}

/// A write of some KiB and a flush.
#[must_use]
pub const fn synced(kib: u64) -> (f64, Job) {
    (
        1.0,
        Job::SyncedWrite {
            bytes: (kib * KIB) as u32,
        },
    )
}

/// A program on the host, as a unit.
#[must_use]
pub fn unit(name: &str, does: Does, streams: Vec<Stream>) -> Party {
    Party {
        who: Who {
            kind: WhoKind::Unit,
            name: format!("{name}.service"),
            comm: name.chars().take(15).collect(),
            namespace: None,
        },
        does,
        streams,
        limit: None,
    }
}

/// Somebody of a kind that chance picks.
#[must_use]
pub fn somebody(dice: &mut Dice, name: &str, does: Does, streams: Vec<Stream>) -> Party {
    let kind = *dice.pick(&[WhoKind::Program, WhoKind::Unit, WhoKind::Pod, WhoKind::Pod]);
    let plain = unit(name, does, streams);
    let who = Who {
        kind,
        name: match kind {
            WhoKind::Unit => plain.who.name.clone(),
            _ => name.to_owned(),
        },
        namespace: (kind == WhoKind::Pod).then(|| "apps".to_owned()),
        ..plain.who.clone()
    };
    Party { who, ..plain }
}

/// A virtual machine: one process with much in flight, whose threads do not sleep for it.
#[must_use]
pub fn machine(dice: &mut Dice, name: &str, does: Does, streams: Vec<Stream>) -> Party {
    let awake = |stream| Stream {
        sleeps: false,
        ..stream
    };
    let namespace = dice.chance(0.7).then(|| "default".to_owned());
    Party {
        who: Who {
            kind: WhoKind::Vm,
            name: name.to_owned(),
            comm: "qemu-system-x86".to_owned(),
            namespace,
        },
        does,
        streams: streams.into_iter().map(awake).collect(),
        limit: None,
    }
}

/// The host's own trim, one discard after another.
#[must_use]
pub fn fstrim(dice: &mut Dice, active: Vec<(Ns, Ns)>, mib: u64, gap: Ns) -> Party {
    let job = Job::Discard {
        bytes: (mib << 20) as u32,
        pieces: *dice.pick(&[1, 1, 2, 4]),
    };
    let mut stream = stream(dice, closed(gap, 1), vec![(1.0, job)], active);
    stream.sequential = true;
    unit("fstrim", Does::HostTrim, vec![stream])
}

/// One to four who want their answers soon: the usual victims. `most` requests a second of each at most.
pub fn users(dice: &mut Dice, world: &mut World, most: f64) {
    const NAMES: [&str; 6] = [
        "etcd",
        "postgres",
        "mysqld",
        "mongod",
        "redis-server",
        "kafka",
    ];
    let count = dice.count(1, 3);
    let first = dice.count(0, 5) as usize;
    for number in 0..count as usize {
        let name = NAMES[(first + number) % NAMES.len()];
        let party = user(dice, world, name, most);
        world.parties.push(party);
    }
}

/// One of them.
pub fn user(dice: &mut Dice, world: &World, name: &str, most: f64) -> Party {
    let active = always(world);
    let disk = &world.disks[0];
    let alone = alone_ns(disk, WorkKind::Read, 8 * KIB) + disk.network_ns;
    // Of what the disk can do they ask a tenth at most, all together.
    let most = most.min(0.03 * capacity(disk, WorkKind::Read, 8 * KIB) + 2.0);
    let rate = dice.log((most / 30.0).max(2.0), most.max(4.0));
    if dice.chance(0.35) {
        let arrivals = Arrivals::Open {
            per_second: rate,
            at_once: 64,
        };
        let jobs = vec![read(8), (0.7, write(8).1), (0.2, synced(4).1)];
        let stream = stream(dice, arrivals, jobs, active);
        return machine(dice, &format!("vm-{name}"), Does::Load, vec![stream]);
    }
    let threads = dice.count(1, 6);
    let think = (f64::from(threads) * S as f64 / rate) as Ns;
    let jobs = match dice.count(0, 2) {
        0 => vec![read(8)],
        1 => vec![synced(4)],
        _ => vec![read(16), (0.5, synced(8).1), (0.5, write(8).1)],
    };
    let stream = stream(
        dice,
        closed(think.saturating_sub(alone).max(100 * US), threads),
        jobs,
        active,
    );
    somebody(dice, name, Does::Load, vec![stream])
}

/// Those who are on every host, do little and did nothing; and now and then a hiccup of 10 to 30 ms.
pub fn background(dice: &mut Dice, world: &mut World) {
    const NAMES: [&str; 6] = [
        "systemd-journal",
        "kubelet",
        "containerd",
        "prometheus",
        "rsyslogd",
        "chronyd",
    ];
    let first = dice.count(0, 5) as usize;
    let slow = alone_ns(&world.disks[0], WorkKind::Write, 16 * KIB) + world.disks[0].network_ns;
    for number in 0..dice.count(1, 3) as usize {
        let job = if dice.chance(0.5) { write(16) } else { read(8) };
        // Half a percent of a disk at most.
        let think = dice.time(200 * MS, 5 * S).max(200 * slow);
        let stream = stream(dice, closed(think, 1), vec![job], always(world));
        let name = NAMES[(first + number) % NAMES.len()];
        world.parties.push(unit(name, Does::Load, vec![stream]));
    }
    hiccups(dice, world);
    if dice.chance(0.2) {
        another_disk(dice, world);
    }
}

/// A disk on which nobody is hurt, with somebody busy on it.
fn another_disk(dice: &mut Dice, world: &mut World) {
    let mut disk = flash(dice, (100 * US, MS));
    disk.name = "nvme7n1".to_owned();
    disk.served_at_once = 8;
    world.disks.push(disk);
    let active = always(world);
    let on_it = |stream: Stream| Stream { disk: 1, ..stream };
    let think = dice.time(5 * MS, 100 * MS);
    if dice.chance(0.5) && world.parties.iter().all(|party| party.who.comm != "fstrim") {
        let mut trim = fstrim(dice, active, 64, think);
        trim.streams = trim.streams.into_iter().map(on_it).collect();
        world.parties.push(trim);
    } else {
        let reads = stream(dice, closed(think, 4), vec![read(32)], active);
        world
            .parties
            .push(unit("rclone", Does::Load, vec![on_it(reads)]));
    }
}

/// Now and then one of 10 to 30 ms.
pub fn hiccups(dice: &mut Dice, world: &mut World) {
    let every = dice.log(10.0, 120.0) * S as f64;
    let mut now = dice.exponential(every) as Ns;
    while now < world.end() {
        let length = dice.time(10 * MS, 30 * MS);
        world.disks[0].phases.push(Phase {
            from: now,
            to: now + length,
            slower: f64::INFINITY,
        });
        now += length + dice.exponential(every) as Ns;
    }
}
