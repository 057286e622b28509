//! Families that rules may be chosen on.

use crate::dice::Dice;
use crate::families::Family;
use crate::parts::{
    alone_ns, always, any_disk, background, capacity, closed, during, flash, fstrim, hard_disk,
    hiccups, machine, read, server, somebody, stream, synced, unit, user, users, world, write,
};
use crate::world::{
    Arrivals, BadRegion, DiscardCost, DiscardEffect, Does, Freeze, Job, Journal, KIB, Limit, MIB,
    MS, Ns, PageCache, Party, Phase, S, Stream, US, WorkKind, World, WriteCache,
};

/// All of them.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "exclusive_trim",
        make: exclusive_trim,
    },
    Family {
        name: "slowing_trim",
        make: slowing_trim,
    },
    Family {
        name: "guest_trim",
        make: guest_trim,
    },
    Family {
        name: "innocent_trim",
        make: innocent_trim,
    },
    Family {
        name: "innocent_trim_coincident",
        make: innocent_trim_coincident,
    },
    Family {
        name: "noisy_one",
        make: noisy_one,
    },
    Family {
        name: "noisy_thirty",
        make: noisy_thirty,
    },
    Family {
        name: "noisy_short_lived",
        make: noisy_short_lived,
    },
    Family {
        name: "crowd",
        make: crowd,
    },
    Family {
        name: "own_load",
        make: own_load,
    },
    Family {
        name: "one_pause",
        make: one_pause,
    },
    Family {
        name: "hang_from_before",
        make: hang_from_before,
    },
    Family {
        name: "hang_in_discard",
        make: hang_in_discard,
    },
    Family {
        name: "bad_sectors",
        make: bad_sectors,
    },
    Family {
        name: "slow_flushes",
        make: slow_flushes,
    },
    Family {
        name: "flusher",
        make: flusher,
    },
    Family {
        name: "healthy_hard_disk",
        make: healthy_hard_disk,
    },
    Family {
        name: "buffered_writer",
        make: buffered_writer,
    },
    Family {
        name: "journal",
        make: journal,
    },
    Family {
        name: "token_bucket",
        make: token_bucket,
    },
    Family {
        name: "cgroup_limit",
        make: cgroup_limit,
    },
    Family {
        name: "frozen",
        make: frozen,
    },
    Family {
        name: "two_in_turn",
        make: two_in_turn,
    },
    Family {
        name: "burst_in_long_window",
        make: burst_in_long_window,
    },
    Family {
        name: "calm",
        make: calm,
    },
    Family {
        name: "slow_disk",
        make: slow_disk,
    },
];

const SECONDS: (f64, f64) = (10.0, 61.0);

/// When something that takes a good part of the window happens.
fn some_time(dice: &mut Dice, world: &World) -> Vec<(Ns, Ns)> {
    if dice.chance(0.3) {
        return always(world);
    }
    let length = dice.between(0.25, 0.9);
    let from = dice.between(0.0, 1.0 - length);
    during(world, from, from + length)
}

/// The host's trim on a disk that does nothing else meanwhile.
fn exclusive_trim(dice: &mut Dice) -> World {
    let mut disk = flash(dice, (50 * US, 2 * MS));
    let mib = *dice.pick(&[16, 64, 256, 1_024]);
    disk.discards = DiscardCost {
        effect: DiscardEffect::Exclusive,
        each_ns: dice.time(6 * MS, 400 * MS),
        ns_per_mib: 0,
    };
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 400.0);
    let active = some_time(dice, &world);
    let gap = dice.time(20 * US, 8 * MS);
    let trim = fstrim(dice, active, mib, gap);
    world.parties.push(trim);
    background(dice, &mut world);
    world
}

/// The host's trim on a disk that serves others all the slower meanwhile.
fn slowing_trim(dice: &mut Dice) -> World {
    let mut disk = flash(dice, (100 * US, 2 * MS));
    // To somewhere between 8 and 200 ms.
    let slowed = dice.time(8 * MS, 200 * MS);
    disk.discards = DiscardCost {
        effect: DiscardEffect::Slows(slowed as f64 / disk.read_ns as f64),
        each_ns: dice.time(2 * MS, 200 * MS),
        ns_per_mib: 0,
    };
    let mut world = world(dice, disk, SECONDS);
    let most = 0.2 * S as f64 / slowed as f64;
    users(dice, &mut world, most.max(6.0));
    let active = some_time(dice, &world);
    let trim = fstrim(dice, active, 256, 20 * US);
    world.parties.push(trim);
    background(dice, &mut world);
    world
}

/// A virtual machine discards on a disk that does nothing else meanwhile.
fn guest_trim(dice: &mut Dice) -> World {
    let mut disk = flash(dice, (50 * US, 2 * MS));
    disk.discards = DiscardCost {
        effect: DiscardEffect::Exclusive,
        each_ns: dice.time(6 * MS, 200 * MS),
        ns_per_mib: 0,
    };
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 400.0);
    let active = some_time(dice, &world);
    let job = Job::Discard {
        bytes: 64 * MIB as u32,
        pieces: 1,
    };
    let discards = stream(
        dice,
        closed(dice.clone().time(20 * US, 8 * MS), 1),
        vec![(1.0, job)],
        active,
    );
    let reads = stream(dice, closed(100 * MS, 1), vec![read(8)], always(&world));
    world.parties.push(machine(
        dice,
        "vm-trims",
        Does::GuestTrim,
        vec![discards, reads],
    ));
    background(dice, &mut world);
    world
}

/// A trim that costs nobody anything, and a time in which the disk is slow by itself.
fn innocent_trim(dice: &mut Dice) -> World {
    let mut world = slow_phase(dice);
    let (from, to) = phase_of(&world);
    // It begins before the phase, or ends after it, and there is some of each outside of the other.
    let length = (to - from) as f64;
    let (opened, end) = (world.before as f64, world.end() as f64);
    let inside = dice.between(0.2, 0.7) * length;
    let active = if dice.chance(0.5) {
        let until = from as f64 + inside;
        (
            dice.between(opened, (from as f64 - 0.5 * length).max(opened)),
            until,
        )
    } else {
        let since = to as f64 - inside;
        (
            since,
            dice.between((to as f64 + 0.5 * length).min(end), end),
        )
    };
    push_free_trim(dice, &mut world, vec![(active.0 as Ns, active.1 as Ns)]);
    world
}

/// The same, and both at the same time: no observer can tell.
fn innocent_trim_coincident(dice: &mut Dice) -> World {
    let mut world = slow_phase(dice);
    world.coincident = true;
    let phase = phase_of(&world);
    push_free_trim(dice, &mut world, vec![phase]);
    world
}

fn slow_phase(dice: &mut Dice) -> World {
    let disk = flash(dice, (100 * US, MS));
    let mut world = world(dice, disk, SECONDS);
    let slowed = dice.time(12 * MS, 150 * MS);
    let most = 0.2 * S as f64 / slowed as f64;
    users(dice, &mut world, most.max(6.0));
    let length = dice.between(0.1, 0.4);
    let from = dice.between(0.15, 0.85 - length);
    let (from, to) = during(&world, from, from + length)[0];
    let slower = slowed as f64 / world.disks[0].read_ns as f64;
    world.disks[0].phases.push(Phase { from, to, slower });
    background(dice, &mut world);
    world
}

fn phase_of(world: &World) -> (Ns, Ns) {
    let phase = &world.disks[0].phases[0];
    (phase.from, phase.to)
}

fn push_free_trim(dice: &mut Dice, world: &mut World, active: Vec<(Ns, Ns)>) {
    let gap = dice.time(20 * US, 20 * MS);
    let trim = fstrim(dice, active, 64, gap);
    world.parties.push(trim);
}

/// How one or many ask for more than the disk can do, so that others wait tens of milliseconds: block size in KiB, kind,
/// and how many at once.
fn heavy(dice: &mut Dice, world: &World) -> ((f64, Job), u32) {
    let disk = &world.disks[0];
    let is_read = dice.chance(0.5);
    let kib = *dice.pick(&[64, 128, 256, 512, 1_024]);
    let kind = if is_read {
        WorkKind::Read
    } else {
        WorkKind::Write
    };
    let one = alone_ns(disk, kind, kib * KIB) / u64::from(disk.served_at_once);
    // What waits behind all of them waits so long.
    let wait = dice.time(8 * MS, 300 * MS).max(one * 8);
    let at_once = (wait / one.max(1)).clamp(4, 256) as u32;
    (if is_read { read(kib) } else { write(kib) }, at_once)
}

/// Slow enough that a heavy load is no flood of requests.
fn loaded_disk(dice: &mut Dice) -> crate::world::Disk {
    let mut disk = any_disk(dice);
    if disk.seek.is_none() {
        disk.served_at_once = disk.served_at_once.min(4);
        // 64 KiB take at least 0.5 ms of the whole.
        disk.ns_per_kib = disk.ns_per_kib.max(8_000 * u64::from(disk.served_at_once));
    }
    disk
}

/// One process of a neighbor's.
fn noisy_one(dice: &mut Dice) -> World {
    let disk = loaded_disk(dice);
    let mut world = world(dice, disk, (10.0, 41.0));
    users(dice, &mut world, 200.0);
    let (job, at_once) = heavy(dice, &world);
    let active = some_time(dice, &world);
    let mut load = stream(dice, closed(50 * US, at_once), vec![job], active);
    load.sequential = true;
    load.sleeps = false;
    if dice.chance(0.3) {
        // It reads through the page cache, a few files at once.
        (load.sleeps, load.ahead) = (true, true);
    }
    let party = if dice.chance(0.3) {
        machine(dice, "vm-backup", Does::Load, vec![load])
    } else {
        somebody(dice, "restic", Does::Load, vec![load])
    };
    world.parties.push(party);
    background(dice, &mut world);
    world
}

/// Thirty processes of one unit.
fn noisy_thirty(dice: &mut Dice) -> World {
    let disk = loaded_disk(dice);
    let mut world = world(dice, disk, (10.0, 41.0));
    users(dice, &mut world, 200.0);
    let (job, at_once) = heavy(dice, &world);
    let active = some_time(dice, &world);
    let processes = dice.count(20, 40);
    let each = (at_once / processes).max(1);
    let streams = (0..processes).map(|process| Stream {
        process,
        sleeps: each == 1,
        ..stream(dice, closed(100 * US, each), vec![job], active.clone())
    });
    let streams = streams.collect();
    world
        .parties
        .push(somebody(dice, "clickhouse", Does::Load, streams));
    background(dice, &mut world);
    world
}

/// One after another, each with a few requests, all of one shell loop.
fn noisy_short_lived(dice: &mut Dice) -> World {
    let disk = loaded_disk(dice);
    let mut world = world(dice, disk, (10.0, 31.0));
    users(dice, &mut world, 200.0);
    let (job, at_once) = heavy(dice, &world);
    let active = some_time(dice, &world);
    let mut load = stream(dice, closed(MS, at_once.min(48)), vec![job], active);
    load.jobs_of_a_process = Some(dice.count(4, 60));
    world
        .parties
        .push(somebody(dice, "dd", Does::Load, vec![load]));
    background(dice, &mut world);
    world
}

/// Many who ask for a little each, and together for more than there is.
fn crowd(dice: &mut Dice) -> World {
    let disk = loaded_disk(dice);
    let mut world = world(dice, disk, (10.0, 31.0));
    let count = dice.count(12, 40);
    let kib = *dice.pick(&[64, 128, 256]);
    let all = dice.log(1.1, 3.0) * capacity(&world.disks[0], WorkKind::Read, kib * KIB);
    let at_once = dice.count(1, 4);
    for number in 0..count {
        let rate = all / f64::from(count) * dice.between(0.7, 1.3);
        let think = (f64::from(at_once) * S as f64 / rate) as Ns;
        let active = always(&world);
        let load = stream(dice, closed(think, at_once), vec![read(kib)], active);
        world.parties.push(somebody(
            dice,
            &format!("app-{number}"),
            Does::Load,
            vec![load],
        ));
    }
    background(dice, &mut world);
    world
}

/// Somebody who has more in flight than his disk can do, and is alone on it.
fn own_load(dice: &mut Dice) -> World {
    let disk = loaded_disk(dice);
    let mut world = world(dice, disk, (10.0, 31.0));
    let (job, at_once) = heavy(dice, &world);
    let active = some_time(dice, &world);
    let at_once = (at_once * 2).clamp(16, 256);
    let load = stream(dice, closed(50 * US, at_once), vec![job], active);
    let party = if dice.chance(0.6) {
        machine(dice, "vm-load", Does::Load, vec![load])
    } else {
        somebody(dice, "postgres", Does::Load, vec![load])
    };
    world.parties.push(party);
    if dice.chance(0.5) {
        background(dice, &mut world);
    } else {
        hiccups(dice, &mut world);
    }
    world
}

/// The disk stands still once, and then goes on as if nothing had been.
fn one_pause(dice: &mut Dice) -> World {
    let disk = any_disk(dice);
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 400.0);
    let length = dice.time(S / 2, 5 * S);
    let from = world.before + dice.below(world.window - length);
    world.disks[0].phases.push(Phase {
        from,
        to: from + length,
        slower: f64::INFINITY,
    });
    maybe_free_trim(dice, &mut world);
    background(dice, &mut world);
    world
}

/// Now and then a suspect who did nothing.
fn maybe_free_trim(dice: &mut Dice, world: &mut World) {
    if dice.chance(0.3) {
        let active = some_time(dice, world);
        push_free_trim(dice, world, active);
    }
}

/// It stood still before anybody looked, and goes on late or never.
fn hang_from_before(dice: &mut Dice) -> World {
    let disk = any_disk(dice);
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 100.0);
    let from = dice.time(100 * MS, world.before);
    let to = if dice.chance(0.6) {
        world.end() + S
    } else {
        during(&world, 0.0, dice.between(0.2, 0.95))[0].1
    };
    world.disks[0].phases.push(Phase {
        from,
        to,
        slower: f64::INFINITY,
    });
    background(dice, &mut world);
    world
}

/// A discard never ends, and nothing after it.
fn hang_in_discard(dice: &mut Dice) -> World {
    let mut disk = flash(dice, (50 * US, 2 * MS));
    disk.discards = DiscardCost {
        effect: DiscardEffect::Exclusive,
        each_ns: dice.time(5 * MS, 100 * MS),
        ns_per_mib: 0,
    };
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 100.0);
    let active = always(&world);
    let trim = fstrim(dice, active, 256, MS);
    world.parties.push(trim);
    // From before the window on, or from some time in it.
    world.disks[0].hangs_in_discard_at = Some(if dice.chance(0.6) {
        dice.time(200 * MS, world.before)
    } else {
        during(&world, 0.0, dice.between(0.1, 0.7))[0].1
    });
    background(dice, &mut world);
    world
}

/// Somebody reads what the disk can hardly read, and another is busy beside it and well.
fn bad_sectors(dice: &mut Dice) -> World {
    let mut disk = flash(dice, (100 * US, MS));
    disk.served_at_once = dice.count(8, 32);
    let mut world = world(dice, disk, SECONDS);
    let active = always(&world);
    let victim = stream(
        dice,
        closed(dice.clone().time(10 * MS, 300 * MS), 2),
        vec![read(8)],
        active.clone(),
    );
    world.disks[0].bad = Some(BadRegion {
        from: victim.sectors.0,
        to: victim.sectors.0
            + ((victim.sectors.1 - victim.sectors.0) as f64 * dice.log(0.02, 0.5)) as u64,
        retries_ns: dice.time(60 * MS, 3 * S),
    });
    world
        .parties
        .push(machine(dice, "vm-victim", Does::Load, vec![victim]));
    let disk = &world.disks[0];
    let rate = (dice.between(0.1, 0.5) * capacity(disk, WorkKind::Read, 16 * KIB)).min(2_000.0);
    let open = Arrivals::Open {
        per_second: rate,
        at_once: 64,
    };
    let mut busy = stream(dice, open, vec![read(16), write(16)], active);
    busy.sectors = (40 * 100_000_000, 41 * 100_000_000);
    world
        .parties
        .push(machine(dice, "vm-busy", Does::Load, vec![busy]));
    background(dice, &mut world);
    world
}

/// Flushes of the disk's cache take long, and only one asks for them.
fn slow_flushes(dice: &mut Dice) -> World {
    let mut disk = flash(dice, (50 * US, MS));
    disk.cache = Some(WriteCache {
        flush_ns: dice.time(200 * US, 2 * MS),
        flush_ns_per_mib: 0,
        exclusive: dice.chance(0.3),
    });
    disk.flush_slowness = dice.time(15 * MS, 400 * MS) as f64 / (MS as f64);
    let mut world = world(dice, disk, SECONDS);
    let active = always(&world);
    let etcd = stream(
        dice,
        closed(dice.clone().time(5 * MS, 200 * MS), 1),
        vec![synced(8)],
        active.clone(),
    );
    world
        .parties
        .push(somebody(dice, "etcd", Does::Flushes, vec![etcd]));
    let reads = stream(dice, closed(20 * MS, 2), vec![read(16)], active);
    world
        .parties
        .push(somebody(dice, "nginx", Does::Load, vec![reads]));
    background(dice, &mut world);
    world
}

/// Flushes cost as much as they do, and one asks for more of them than others can bear.
fn flusher(dice: &mut Dice) -> World {
    let mut disk = flash(dice, (50 * US, MS));
    disk.cache = Some(WriteCache {
        flush_ns: dice.time(8 * MS, 60 * MS),
        flush_ns_per_mib: 0,
        exclusive: true,
    });
    let mut world = world(dice, disk, SECONDS);
    let active = always(&world);
    for name in ["postgres", "nginx"] {
        let think = dice.time(2 * MS, 50 * MS);
        let reads = stream(dice, closed(think, 2), vec![read(8)], active.clone());
        world
            .parties
            .push(somebody(dice, name, Does::Load, vec![reads]));
    }
    let active = some_time(dice, &world);
    let threads = dice.count(1, 8);
    let flushes = stream(
        dice,
        closed(dice.clone().time(100 * US, 5 * MS), threads),
        vec![synced(4)],
        active,
    );
    world
        .parties
        .push(somebody(dice, "mongod", Does::Flushes, vec![flushes]));
    background(dice, &mut world);
    world
}

/// A hard disk that does what hard disks do.
fn healthy_hard_disk(dice: &mut Dice) -> World {
    let disk = hard_disk(dice);
    let mut world = world(dice, disk, SECONDS);
    let capacity = capacity(&world.disks[0], WorkKind::Read, 16 * KIB);
    let load = dice.log(0.05, 0.6);
    let count = dice.count(1, 4);
    for number in 0..count {
        let rate = load * capacity / f64::from(count);
        let open = Arrivals::Open {
            per_second: rate,
            at_once: 32,
        };
        let active = always(&world);
        let jobs = vec![read(16), (0.5, write(16).1)];
        let stream = stream(dice, open, jobs, active);
        world.parties.push(machine(
            dice,
            &format!("vm-{number}"),
            Does::Load,
            vec![stream],
        ));
    }
    background(dice, &mut world);
    world
}

fn page_cache(dice: &mut Dice, ordered: bool) -> PageCache {
    let limit = dice.log(64.0, 1_024.0) as u64 * MIB;
    PageCache {
        disk: 0,
        background_bytes: limit / 2,
        limit_bytes: limit,
        every_ns: *dice.pick(&[S, 5 * S]),
        in_flight: dice.count(16, 128),
        request_bytes: (*dice.pick(&[256, 512, 1_024]) * KIB) as u32,
        ordered,
    }
}

/// Bytes in a second that a disk can write.
fn write_rate(world: &World, bytes: u64) -> f64 {
    capacity(&world.disks[0], WorkKind::Write, bytes) * bytes as f64
}

fn buffered(dice: &mut Dice, world: &World, load: f64, active: Vec<(Ns, Ns)>) -> Stream {
    let bytes = world.caches[0].request_bytes;
    let rate = load * write_rate(world, bytes.into());
    let think = f64::from(bytes) / rate * S as f64;
    stream(
        dice,
        closed(think as Ns, 1),
        vec![(1.0, Job::Buffered { bytes })],
        active,
    )
}

/// Somebody writes into memory, and a worker of the kernel brings it to the disk.
fn buffered_writer(dice: &mut Dice) -> World {
    let disk = loaded_disk(dice);
    let mut world = world(dice, disk, (10.0, 41.0));
    users(dice, &mut world, 100.0);
    let cache = page_cache(dice, false);
    world.caches.push(cache);
    let active = some_time(dice, &world);
    let load = dice.between(0.9, 3.0);
    let writes = buffered(dice, &world, load, active);
    world
        .parties
        .push(somebody(dice, "rsync", Does::Dirties, vec![writes]));
    background(dice, &mut world);
    world
}

/// All fsyncs of a filesystem wait for a commit, and the commit for the data of one of them.
fn journal(dice: &mut Dice) -> World {
    let mut disk = loaded_disk(dice);
    // Others get through: it is the commit that takes long.
    disk.served_at_once = dice.count(8, 32);
    disk.ns_per_kib = dice.time(2_000, 20_000) * u64::from(disk.served_at_once);
    let mut world = world(dice, disk, (10.0, 41.0));
    world.journals.push(Journal {
        disk: 0,
        every_ns: 5 * S,
        log_bytes: (*dice.pick(&[16, 32, 64]) * KIB) as u32,
    });
    let cache = page_cache(dice, true);
    world.caches.push(cache);
    for name in ["etcd", "postgres"] {
        let think = dice.time(20 * MS, 500 * MS);
        let jobs = vec![(
            1.0,
            Job::Fsync {
                bytes: 8 * KIB as u32,
            },
        )];
        let active = always(&world);
        let threads = dice.count(1, 3);
        let fsyncs = stream(dice, closed(think, threads), jobs, active);
        world
            .parties
            .push(somebody(dice, name, Does::Load, vec![fsyncs]));
    }
    let active = some_time(dice, &world);
    let load = dice.between(0.3, 0.9);
    let writes = buffered(dice, &world, load, active);
    world
        .parties
        .push(somebody(dice, "loki", Does::JournalData, vec![writes]));
    background(dice, &mut world);
    world
}

/// The disk admits so much and no more, whoever asks.
fn token_bucket(dice: &mut Dice) -> World {
    let mut disk = if dice.chance(0.5) {
        server(dice)
    } else {
        flash(dice, (100 * US, MS))
    };
    let iops = dice.log(100.0, 2_000.0);
    disk.limit = Some(Limit {
        iops,
        bytes_per_second: f64::INFINITY,
        burst: dice.log(0.1, 3.0),
    });
    let mut world = world(dice, disk, (10.0, 41.0));
    users(dice, &mut world, iops * 0.1);
    let at_once = (dice.log(0.02, 0.3) * iops).clamp(8.0, 128.0) as u32;
    let active = some_time(dice, &world);
    let load = stream(dice, closed(100 * US, at_once), vec![read(16)], active);
    let party = if dice.chance(0.5) {
        machine(dice, "vm-scan", Does::Load, vec![load])
    } else {
        somebody(dice, "trino", Does::Load, vec![load])
    };
    world.parties.push(party);
    background(dice, &mut world);
    world
}

/// A control group's own limit, and its processes ask for more.
fn cgroup_limit(dice: &mut Dice) -> World {
    let disk = flash(dice, (50 * US, MS));
    let mut world = world(dice, disk, (10.0, 41.0));
    users(dice, &mut world, 200.0);
    let iops = dice.log(10.0, 300.0);
    let threads = dice.count(1, 16);
    let active = always(&world);
    let load = stream(
        dice,
        closed(dice.clone().time(100 * US, 5 * MS), threads),
        vec![read(16), write(16)],
        active,
    );
    let mut party = somebody(dice, "indexer", Does::Load, vec![load]);
    party.limit = Some(Limit {
        iops,
        bytes_per_second: f64::INFINITY,
        burst: 0.1,
    });
    world.parties.push(party);
    background(dice, &mut world);
    world
}

/// Somebody froze a filesystem to take a snapshot, and its writers wait.
fn frozen(dice: &mut Dice) -> World {
    let disk = flash(dice, (50 * US, MS));
    let mut world = world(dice, disk, (10.0, 61.0));
    users(dice, &mut world, 200.0);
    let active = always(&world);
    let think = dice.time(5 * MS, 200 * MS);
    let writes = stream(dice, closed(think, 2), vec![write(16), read(16)], active);
    world
        .parties
        .push(somebody(dice, "minio", Does::Load, vec![writes]));
    let from = dice.below(world.window / 2);
    let length = dice.time(2 * S, world.window);
    world.freezes.push(Freeze {
        disk: 0,
        from,
        to: from + length,
    });
    maybe_free_trim(dice, &mut world);
    background(dice, &mut world);
    world
}

/// First a trim, then a neighbor, or the other way round.
fn two_in_turn(dice: &mut Dice) -> World {
    let mut disk = loaded_disk(dice);
    disk.discards = DiscardCost {
        effect: DiscardEffect::Exclusive,
        each_ns: dice.time(15 * MS, 200 * MS),
        ns_per_mib: 0,
    };
    let mut world = world(dice, disk, (20.0, 61.0));
    users(dice, &mut world, 200.0);
    let middle = dice.between(0.4, 0.6);
    let first = during(&world, dice.between(0.05, 0.2), middle - 0.1);
    let second = during(&world, middle + 0.1, dice.between(0.8, 0.95));
    world.episodes = vec![
        during_in(&world, 0.0, middle),
        during_in(&world, middle, 1.0),
    ];
    let (trims, loads) = if dice.chance(0.5) {
        (first, second)
    } else {
        (second, first)
    };
    let trim = fstrim(dice, trims, 256, 200 * US);
    world.parties.push(trim);
    let (job, at_once) = heavy(dice, &world);
    let mut load = stream(dice, closed(50 * US, at_once), vec![job], loads);
    load.sequential = true;
    load.sleeps = false;
    world
        .parties
        .push(somebody(dice, "restic", Does::Load, vec![load]));
    background(dice, &mut world);
    world
}

fn during_in(world: &World, from: f64, to: f64) -> (Ns, Ns) {
    let at = |part: f64| (part * world.window as f64) as Ns;
    (at(from), at(to))
}

/// Five to ten minutes, and a few bad seconds in them.
fn burst_in_long_window(dice: &mut Dice) -> World {
    let mut disk = loaded_disk(dice);
    disk.served_at_once = disk.served_at_once.min(2);
    let mut world = world(dice, disk, (240.0, 601.0));
    users(dice, &mut world, 20.0);
    let (job, at_once) = heavy(dice, &world);
    let length = dice.log(3.0, 20.0) * S as f64 / world.window as f64;
    let from = dice.between(0.05, 0.95 - length);
    let (begins, ends) = during_in(&world, from, from + length);
    let over = (ends + 3 * S).min(world.window);
    world.episodes = vec![(0, begins), (begins, over), (over, world.window)];
    let active = during(&world, from, from + length);
    let mut load = stream(dice, closed(50 * US, at_once), vec![job], active);
    load.sleeps = false;
    world
        .parties
        .push(somebody(dice, "restic", Does::Load, vec![load]));
    background(dice, &mut world);
    world
}

/// A disk that does what it is asked, little or much.
fn calm(dice: &mut Dice) -> World {
    let disk = any_disk(dice);
    let mut world = world(dice, disk, (10.0, 31.0));
    let capacity = capacity(&world.disks[0], WorkKind::Read, 16 * KIB);
    let load = dice.log(
        0.05,
        if world.disks[0].seek.is_some() {
            0.2
        } else {
            0.6
        },
    );
    let rate = (load * capacity).min(dice.log(500.0, 6_000.0));
    let count = dice.count(1, 4);
    for number in 0..count {
        let open = Arrivals::Open {
            per_second: rate / f64::from(count),
            at_once: 64,
        };
        let active = always(&world);
        let jobs = vec![read(16), (0.3, write(16).1)];
        let stream = stream(dice, open, jobs, active);
        world.parties.push(machine(
            dice,
            &format!("vm-{number}"),
            Does::Load,
            vec![stream],
        ));
    }
    users(dice, &mut world, 100.0);
    maybe_free_trim(dice, &mut world);
    background(dice, &mut world);
    world
}

/// The disk is slow, all the time and for everybody.
fn slow_disk(dice: &mut Dice) -> World {
    let mut disk = any_disk(dice);
    let healthy = alone_ns(&disk, WorkKind::Read, 8 * KIB) + disk.network_ns;
    let slow = match disk.seek {
        Some(_) => dice.time(80 * MS, 800 * MS),
        None => dice.time(15 * MS, 300 * MS),
    };
    disk.slowness = slow as f64 / healthy as f64;
    let mut world = world(dice, disk, SECONDS);
    let most = 0.1 * S as f64 / slow as f64;
    users(dice, &mut world, most.max(3.0));
    if dice.chance(0.4) {
        let name = "vm-bystander";
        let rate = (most * 0.5).max(1.0);
        let party = Party {
            ..user(dice, &world, name, rate)
        };
        world.parties.push(party);
    }
    maybe_free_trim(dice, &mut world);
    if dice.chance(0.5) {
        // Something else that is always there, and is not the cause.
        let active = always(&world);
        let think = (20.0 * slow as f64) as Ns;
        let stream = stream(dice, closed(think, 1), vec![write(64)], active);
        world.parties.push(unit("backup", Does::Load, vec![stream]));
    }
    background(dice, &mut world);
    world
}
