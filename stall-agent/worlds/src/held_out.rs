//! Families that no rule was chosen on. Whoever adds one writes a function and a line in
//! [`FAMILIES`], without a look at the rules of the judge.

use crate::dice::Dice;
use crate::families::Family;
use crate::parts::{
    alone_ns, always, any_disk, capacity, closed, during, flash, fstrim, hard_disk, hiccups,
    machine, read, server, somebody, stream, synced, unit, users, world, write,
};
use crate::play::bounds;
use crate::world::{
    Arrivals, DiscardCost, DiscardEffect, Disk, Does, Job, KIB, Limit, MIB, MS, Ns, PageCache,
    Party, Phase, S, Stream, US, WorkKind, World, WriteCache,
};

/// All of them.
pub(crate) const FAMILIES: &[Family] = &[
    Family {
        name: "backup_beside_database",
        make: backup_beside_database,
    },
    Family {
        name: "migration_bursts",
        make: migration_bursts,
    },
    Family {
        name: "snapshot_coalesce",
        make: snapshot_coalesce,
    },
    Family {
        name: "volume_discarded",
        make: volume_discarded,
    },
    Family {
        name: "trim_of_several",
        make: trim_of_several,
    },
    Family {
        name: "rebuild_at_a_set_rate",
        make: rebuild_at_a_set_rate,
    },
    Family {
        name: "cron_swarm",
        make: cron_swarm,
    },
    Family {
        name: "trim_beside_neighbor",
        make: trim_beside_neighbor,
    },
    Family {
        name: "neighbor_beside_own_load",
        make: neighbor_beside_own_load,
    },
    Family {
        name: "pause_with_trim_elsewhere",
        make: pause_with_trim_elsewhere,
    },
    Family {
        name: "slower_and_slower",
        make: slower_and_slower,
    },
    Family {
        name: "hang_ended_by_reset",
        make: hang_ended_by_reset,
    },
    Family {
        name: "two_hurt_by_two",
        make: two_hurt_by_two,
    },
    Family {
        name: "flush_pays_for_others",
        make: flush_pays_for_others,
    },
    Family {
        name: "small_stalls",
        make: small_stalls,
    },
    Family {
        name: "already_going_on",
        make: already_going_on,
    },
    Family {
        name: "server_stalls_beside_busy_vm",
        make: server_stalls_beside_busy_vm,
    },
    Family {
        name: "two_streams_on_a_hard_disk",
        make: two_streams_on_a_hard_disk,
    },
    Family {
        name: "bandwidth_cap",
        make: bandwidth_cap,
    },
    Family {
        name: "dirty_pages_at_once",
        make: dirty_pages_at_once,
    },
    Family {
        name: "backup_as_disk_slows_coincident",
        make: backup_as_disk_slows_coincident,
    },
    Family {
        name: "pauses_after_writes_coincident",
        make: pauses_after_writes_coincident,
    },
];

const SECONDS: (f64, f64) = (8.0, 41.0);

/// A disk of any kind whose bytes take time, so that a heavy load is no flood of requests.
fn bulk_disk(dice: &mut Dice) -> Disk {
    let mut disk = any_disk(dice);
    if disk.seek.is_none() {
        disk.ns_per_kib = dice.time(5_000, 25_000) * u64::from(disk.served_at_once);
    }
    disk
}

/// A wait that nobody on a disk overlooks, though not by much in some worlds.
fn felt(dice: &mut Dice, disk: &Disk) -> Ns {
    let alone = alone_ns(disk, WorkKind::Read, 16 * KIB) + disk.network_ns;
    let (_, plain) = bounds(disk.class);
    let least = (8 * alone).max(2 * plain);
    dice.time(least, 12 * least)
}

/// How many requests of a size a disk has to be given, so that the next one waits so long.
fn depth_for(disk: &Disk, kind: WorkKind, kib: u64, wait: Ns) -> u32 {
    let one = alone_ns(disk, kind, kib * KIB) / u64::from(disk.served_at_once);
    disk.served_at_once + (wait / one.max(1)).clamp(2, 256) as u32
}

/// Requests of a size that a disk can do in a second when they follow each other.
fn sequential_rate(disk: &Disk, kib: u64) -> f64 {
    let one = disk.read_ns + kib * disk.ns_per_kib;
    f64::from(disk.served_at_once) * S as f64 / one as f64
}

/// One span, of between these parts of the window, somewhere in it.
fn a_while(dice: &mut Dice, world: &World, (least, most): (f64, f64)) -> Vec<(Ns, Ns)> {
    let length = dice.between(least, most);
    let from = dice.between(0.0, 1.0 - length);
    during(world, from, from + length)
}

/// Spans of between these lengths, with such pauses, from the beginning to the end.
fn again_and_again(
    dice: &mut Dice,
    world: &World,
    lengths: (Ns, Ns),
    pauses: (Ns, Ns),
) -> Vec<(Ns, Ns)> {
    let mut all = Vec::new();
    let mut now = dice.below(pauses.1);
    while now < world.end() {
        let to = now + dice.time(lengths.0, lengths.1);
        all.push((now, to.min(world.end())));
        now = to + dice.time(pauses.0, pauses.1);
    }
    all
}

/// Somebody's load that keeps the disk's queue long: one process, nothing of it waits for anything
/// else.
fn queue_of(
    dice: &mut Dice,
    world: &World,
    (kind, kib): (WorkKind, u64),
    active: Vec<(Ns, Ns)>,
) -> Stream {
    let wait = felt(dice, &world.disks[0]);
    let at_once = depth_for(&world.disks[0], kind, kib, wait);
    let think = dice.time(5 * US, MS);
    let job = match kind {
        WorkKind::Read => read(kib),
        _ => write(kib),
    };
    Stream {
        sequential: dice.chance(0.7),
        sleeps: false,
        ..stream(dice, closed(think, at_once), vec![job], active)
    }
}

/// What runs on any host: a little each, of no consequence.
fn daemons(dice: &mut Dice, world: &mut World) {
    const NAMES: [&str; 6] = [
        "node_exporter",
        "multipathd",
        "sssd_be",
        "auditd",
        "virtlogd",
        "NetworkManager",
    ];
    let slow = alone_ns(&world.disks[0], WorkKind::Write, 16 * KIB) + world.disks[0].network_ns;
    let first = dice.count(0, 5) as usize;
    for number in 0..dice.count(0, 4) as usize {
        let think = dice.time(300 * MS, 8 * S).max(300 * slow);
        let job = *dice.pick(&[write(4), write(16), read(4), read(32), synced(4)]);
        let stream = stream(dice, closed(think, 1), vec![job], always(world));
        let name = NAMES[(first + number) % NAMES.len()];
        world.parties.push(unit(name, Does::Load, vec![stream]));
    }
    hiccups(dice, world);
}

/// Another disk of the host; its number.
fn second_disk(dice: &mut Dice, world: &mut World) -> usize {
    let mut disk = flash(dice, (60 * US, MS));
    disk.name = "nvme1n1".to_owned();
    world.disks.push(disk);
    world.disks.len() - 1
}

fn on_disk(disk: usize, party: Party) -> Party {
    let moved = |stream| Stream { disk, ..stream };
    Party {
        streams: party.streams.into_iter().map(moved).collect(),
        ..party
    }
}

/// A trim that costs nobody anything.
fn free_trim(dice: &mut Dice, active: Vec<(Ns, Ns)>) -> Party {
    let mib = *dice.pick(&[8, 64, 512]);
    let gap = dice.time(50 * US, 20 * MS);
    fstrim(dice, active, mib, gap)
}

/// Random reads of several threads, a log that is synced, and pages that are written now and then.
fn database(dice: &mut Dice, world: &mut World) {
    let disk = &world.disks[0];
    let alone = alone_ns(disk, WorkKind::Read, 16 * KIB) + disk.network_ns;
    let rate = (dice.log(0.005, 0.05) * capacity(disk, WorkKind::Read, 16 * KIB)).min(300.0);
    let threads = dice.count(2, 8);
    let think = (f64::from(threads) * S as f64 / rate.max(2.0)) as Ns;
    let kib = *dice.pick(&[4, 8, 16]);
    let reads = stream(dice, closed(think, threads), vec![read(kib)], always(world));
    let think = dice.time(20 * MS, 400 * MS).max(10 * alone);
    let log = stream(dice, closed(think, 1), vec![synced(8)], always(world));
    let think = dice.time(50 * MS, S).max(20 * alone);
    let pages = stream(dice, closed(think, 1), vec![write(16)], always(world));
    let streams = vec![
        reads,
        Stream {
            sequential: true,
            ..log
        },
        pages,
    ];
    let party = if dice.chance(0.5) {
        machine(dice, "vm-sql", Does::Load, streams)
    } else {
        somebody(dice, "mariadbd", Does::Load, streams)
    };
    world.parties.push(party);
}

/// A backup reads one file after another in large pieces, beside a database.
fn backup_beside_database(dice: &mut Dice) -> World {
    let disk = bulk_disk(dice);
    let mut world = world(dice, disk, SECONDS);
    database(dice, &mut world);
    let kib = *dice.pick(&[256, 512, 1_024, 2_048, 4_096]);
    let active = a_while(dice, &world, (0.3, 1.0));
    let mut reads = queue_of(dice, &world, (WorkKind::Read, kib), active);
    reads.sequential = true;
    world
        .parties
        .push(somebody(dice, "kopia", Does::Load, vec![reads]));
    daemons(dice, &mut world);
    world
}

/// The disk of a virtual machine that migrates is copied to here, round after round.
fn migration_bursts(dice: &mut Dice) -> World {
    let disk = bulk_disk(dice);
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 100.0);
    let rounds = again_and_again(dice, &world, (300 * MS, 3 * S), (S, 6 * S));
    let kib = *dice.pick(&[64, 256, 1_024]);
    let mut copy = queue_of(dice, &world, (WorkKind::Write, kib), rounds);
    copy.sequential = true;
    world
        .parties
        .push(machine(dice, "vm-arrives", Does::Load, vec![copy]));
    daemons(dice, &mut world);
    world
}

/// Two snapshots are made one: as much is read as is written, by one process.
fn snapshot_coalesce(dice: &mut Dice) -> World {
    let disk = bulk_disk(dice);
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 100.0);
    let kib = *dice.pick(&[64, 128, 512, 2_048]);
    let active = a_while(dice, &world, (0.3, 1.0));
    let from = queue_of(dice, &world, (WorkKind::Read, kib), active.clone());
    let into = queue_of(dice, &world, (WorkKind::Write, kib), active);
    world
        .parties
        .push(somebody(dice, "longhorn", Does::Load, vec![from, into]));
    daemons(dice, &mut world);
    world
}

/// A logical volume is removed and all it had is discarded, many pieces at once.
fn volume_discarded(dice: &mut Dice) -> World {
    let mut disk = flash(dice, (50 * US, 2 * MS));
    disk.discards = DiscardCost {
        effect: DiscardEffect::Exclusive,
        each_ns: dice.time(4 * MS, 250 * MS),
        ns_per_mib: dice.time(100, 20 * US),
    };
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 300.0);
    let mib = *dice.pick(&[32, 128, 512, 2_048_u64]);
    let job = Job::Discard {
        bytes: (mib * MIB) as u32,
        pieces: dice.count(1, 12),
    };
    let active = a_while(dice, &world, (0.15, 0.9));
    let gap = dice.time(10 * US, MS);
    let discards = Stream {
        sequential: true,
        ..stream(dice, closed(gap, 1), vec![(1.0, job)], active)
    };
    let party = somebody(dice, "lvremove", Does::OtherDiscards, vec![discards]);
    world.parties.push(party);
    daemons(dice, &mut world);
    world
}

/// One trim goes through several filesystems of a disk in turn, each with extents of its own size.
fn trim_of_several(dice: &mut Dice) -> World {
    let mut disk = flash(dice, (60 * US, 2 * MS));
    let slowed = dice.time(10 * MS, 150 * MS);
    disk.discards = DiscardCost {
        effect: if dice.chance(0.5) {
            DiscardEffect::Exclusive
        } else {
            DiscardEffect::Slows(slowed as f64 / disk.read_ns as f64)
        },
        each_ns: dice.time(6 * MS, 120 * MS),
        ns_per_mib: dice.time(100, 50 * US),
    };
    let mut world = world(dice, disk, (15.0, 61.0));
    users(dice, &mut world, (0.2 * S as f64 / slowed as f64).max(6.0));
    let other = second_disk(dice, &mut world);
    let count = dice.count(2, 5);
    let each = 1.0 / f64::from(count);
    let mut trim = free_trim(dice, Vec::new());
    trim.streams.clear();
    for number in 0..count {
        let from = each * f64::from(number);
        let to = from + each * dice.between(0.2, 0.95);
        let mib = *dice.pick(&[4, 16, 64, 256]);
        let gap = dice.time(20 * US, 10 * MS);
        let active = during(&world, from, to);
        let mut filesystem = fstrim(dice, active, mib, gap);
        // One of them, not the first, may be on another disk.
        if number > 0 && dice.chance(0.2) {
            filesystem = on_disk(other, filesystem);
        }
        trim.streams.extend(filesystem.streams);
    }
    world.parties.push(trim);
    daemons(dice, &mut world);
    world
}

/// A replica is rebuilt from this disk at a rate that somebody set too high.
fn rebuild_at_a_set_rate(dice: &mut Dice) -> World {
    let disk = bulk_disk(dice);
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 100.0);
    let kib = *dice.pick(&[64, 128, 512, 1_024]);
    let wait = felt(dice, &world.disks[0]);
    let disk = &world.disks[0];
    let open = Arrivals::Open {
        per_second: dice.between(0.9, 1.5) * sequential_rate(disk, kib),
        at_once: depth_for(disk, WorkKind::Read, kib, wait),
    };
    let active = a_while(dice, &world, (0.4, 1.0));
    let reads = Stream {
        sequential: true,
        sleeps: false,
        ..stream(dice, open, vec![read(kib)], active)
    };
    world
        .parties
        .push(somebody(dice, "rebuilder", Does::Load, vec![reads]));
    daemons(dice, &mut world);
    world
}

/// The clock starts dozens of short jobs at once, and some seconds later again.
fn cron_swarm(dice: &mut Dice) -> World {
    let disk = bulk_disk(dice);
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 100.0);
    let times = again_and_again(dice, &world, (300 * MS, 2 * S), (1500 * MS, 8 * S));
    let kib = *dice.pick(&[16, 32, 64, 256]);
    let wait = felt(dice, &world.disks[0]);
    let at_once = depth_for(&world.disks[0], WorkKind::Read, kib, wait).clamp(8, 200);
    let think = dice.time(100 * US, 2 * MS);
    let jobs = vec![read(kib), (dice.between(0.0, 0.5), write(kib).1)];
    let swarm = Stream {
        jobs_of_a_process: Some(dice.count(3, 20)),
        ..stream(dice, closed(think, at_once), jobs, times)
    };
    world
        .parties
        .push(somebody(dice, "php", Does::Load, vec![swarm]));
    daemons(dice, &mut world);
    world
}

/// A neighbor fills the queue, and a trim that costs nobody anything goes on beside it.
fn trim_beside_neighbor(dice: &mut Dice) -> World {
    let disk = bulk_disk(dice);
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 100.0);
    let kind = *dice.pick(&[WorkKind::Read, WorkKind::Write]);
    let kib = *dice.pick(&[64, 128, 256, 1_024]);
    let active = a_while(dice, &world, (0.3, 0.7));
    let load = queue_of(dice, &world, (kind, kib), active);
    world
        .parties
        .push(somebody(dice, "rclone", Does::Load, vec![load]));
    let active = a_while(dice, &world, (0.3, 0.9));
    let trim = free_trim(dice, active);
    world.parties.push(trim);
    daemons(dice, &mut world);
    world
}

/// A virtual machine that is busy itself, and a neighbor who asks for about as much or more.
fn neighbor_beside_own_load(dice: &mut Dice) -> World {
    let disk = bulk_disk(dice);
    let mut world = world(dice, disk, SECONDS);
    let kib = *dice.pick(&[16, 32, 64]);
    let open = Arrivals::Open {
        per_second: dice.between(0.3, 0.95) * capacity(&world.disks[0], WorkKind::Read, kib * KIB),
        at_once: dice.count(16, 64),
    };
    let jobs = vec![read(kib), (dice.between(0.0, 1.0), write(kib).1)];
    let busy = stream(dice, open, jobs, always(&world));
    world
        .parties
        .push(machine(dice, "vm-busy", Does::Load, vec![busy]));
    let kind = *dice.pick(&[WorkKind::Read, WorkKind::Write]);
    let kib = *dice.pick(&[32, 128, 512]);
    let active = a_while(dice, &world, (0.3, 1.0));
    let load = queue_of(dice, &world, (kind, kib), active);
    world
        .parties
        .push(machine(dice, "vm-neighbor", Does::Load, vec![load]));
    daemons(dice, &mut world);
    world
}

/// A disk's firmware pauses while a trim runs on another disk.
fn pause_with_trim_elsewhere(dice: &mut Dice) -> World {
    let disk = any_disk(dice);
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 200.0);
    let other = second_disk(dice, &mut world);
    let active = a_while(dice, &world, (0.1, 0.5));
    let (from, to) = active[0];
    let trim = free_trim(dice, active);
    world.parties.push(on_disk(other, trim));
    for _ in 0..dice.count(1, 3) {
        let from = from + dice.below(to - from);
        let length = dice.time(700 * MS, 4 * S);
        world.disks[0].phases.push(Phase {
            from,
            to: from + length,
            slower: f64::INFINITY,
        });
    }
    daemons(dice, &mut world);
    world
}

/// A disk takes longer and longer for the same.
fn slower_and_slower(dice: &mut Dice) -> World {
    let disk = any_disk(dice);
    let mut world = world(dice, disk, (12.0, 61.0));
    let alone = alone_ns(&world.disks[0], WorkKind::Read, 8 * KIB);
    let (_, plain) = bounds(world.disks[0].class);
    let last = dice.time(2 * plain, 30 * plain).min(S / 2);
    users(dice, &mut world, (0.1 * S as f64 / last as f64).max(4.0));
    let steps = dice.count(4, 24);
    let most = last as f64 / alone as f64;
    let evenly = dice.chance(0.5);
    for step in 0..steps {
        let part = f64::from(step + 1) / f64::from(steps);
        let slower = if evenly {
            1.0 + (most - 1.0) * part
        } else {
            most.powf(part)
        };
        let begins = f64::from(step) / f64::from(steps);
        let (from, to) = during(&world, begins, part)[0];
        world.disks[0].phases.push(Phase { from, to, slower });
    }
    let think = 30 * last;
    let steady = stream(dice, closed(think, 1), vec![read(64)], always(&world));
    world.parties.push(unit("aide", Does::Load, vec![steady]));
    daemons(dice, &mut world);
    world
}

/// Nothing ends until the driver's patience is over and it resets the disk, which then takes a
/// while to come back.
fn hang_ended_by_reset(dice: &mut Dice) -> World {
    let disk = any_disk(dice);
    let mut world = world(dice, disk, (20.0, 91.0));
    users(dice, &mut world, 200.0);
    let mut from = world.before + dice.below(world.window / 3);
    for _ in 0..dice.count(1, 2) {
        let patience = *dice.pick(&[5 * S, 7 * S, 15 * S, 30 * S]);
        let to = from + patience;
        world.disks[0].phases.push(Phase {
            from,
            to,
            slower: f64::INFINITY,
        });
        let recovered = to + dice.time(100 * MS, 3 * S);
        world.disks[0].phases.push(Phase {
            from: to,
            to: recovered,
            slower: dice.log(2.0, 30.0),
        });
        from = recovered + dice.time(S, 10 * S);
    }
    if dice.chance(0.5) {
        let active = a_while(dice, &world, (0.1, 0.8));
        let trim = free_trim(dice, active);
        world.parties.push(trim);
    }
    daemons(dice, &mut world);
    world
}

/// On one disk a trim hurts somebody, on another at about the same time a neighbor somebody else.
fn two_hurt_by_two(dice: &mut Dice) -> World {
    let mut disk = flash(dice, (60 * US, 2 * MS));
    disk.ns_per_kib = dice.time(5_000, 25_000) * u64::from(disk.served_at_once);
    let mut world = world(dice, disk, SECONDS);
    let other = second_disk(dice, &mut world);
    let think = dice.time(10 * MS, 200 * MS);
    for (disk, name) in [(0, "cassandra"), (other, "rabbitmq")] {
        let think = (think as f64 * dice.between(0.6, 1.6)) as Ns;
        let job = *dice.pick(&[read(8), read(16), synced(4)]);
        let asks = stream(dice, closed(think, 2), vec![job], always(&world));
        let party = somebody(dice, name, Does::Load, vec![asks]);
        world.parties.push(on_disk(disk, party));
    }
    let kib = *dice.pick(&[64, 256, 1_024]);
    let wait = felt(dice, &world.disks[0]);
    let active = a_while(dice, &world, (0.4, 0.9));
    let at_once = depth_for(&world.disks[0], WorkKind::Read, kib, wait);
    let load = Stream {
        sleeps: false,
        ..stream(dice, closed(100 * US, at_once), vec![read(kib)], active)
    };
    world
        .parties
        .push(somebody(dice, "rclone", Does::Load, vec![load]));
    world.disks[other].discards = DiscardCost {
        effect: DiscardEffect::Exclusive,
        each_ns: (wait as f64 * dice.between(0.6, 1.6)) as Ns,
        ns_per_mib: 0,
    };
    let active = a_while(dice, &world, (0.4, 0.9));
    let mib = *dice.pick(&[16, 64, 256]);
    let gap = dice.time(20 * US, 2 * MS);
    let trim = fstrim(dice, active, mib, gap);
    world.parties.push(on_disk(other, trim));
    daemons(dice, &mut world);
    world
}

/// A disk's cache is emptied at each flush, and it is full of what somebody else wrote.
fn flush_pays_for_others(dice: &mut Dice) -> World {
    let mut disk = if dice.chance(0.7) {
        flash(dice, (50 * US, MS))
    } else {
        hard_disk(dice)
    };
    let kib = *dice.pick(&[64, 128, 512]);
    let load = dice.between(0.1, 0.5);
    let rate = (load * sequential_rate(&disk, kib)).min(1_500.0);
    let think = dice.time(100 * MS, S);
    let mib_between = rate * kib as f64 / 1_024.0 * think as f64 / S as f64;
    let (_, plain) = bounds(disk.class);
    let emptied = dice.time(4 * plain, 60 * plain).min(2 * S);
    disk.cache = Some(WriteCache {
        flush_ns: dice.time(100 * US, 3 * MS),
        flush_ns_per_mib: (emptied as f64 / mib_between) as Ns,
        exclusive: dice.chance(0.3),
    });
    let mut world = world(dice, disk, SECONDS);
    let commits = stream(dice, closed(think, 1), vec![synced(4)], always(&world));
    world
        .parties
        .push(somebody(dice, "zookeeper", Does::Flushes, vec![commits]));
    let active = a_while(dice, &world, (0.5, 1.0));
    let open = Arrivals::Open {
        per_second: rate,
        at_once: 32,
    };
    let writes = Stream {
        sequential: true,
        sleeps: false,
        ..stream(dice, open, vec![write(kib)], active)
    };
    world
        .parties
        .push(somebody(dice, "ffmpeg", Does::Load, vec![writes]));
    daemons(dice, &mut world);
    world
}

/// A healthy host whose disk stands still for some milliseconds now and then, too little to tell
/// of.
fn small_stalls(dice: &mut Dice) -> World {
    let disk = flash(dice, (50 * US, 400 * US));
    let mut world = world(dice, disk, (10.0, 46.0));
    users(dice, &mut world, 100.0);
    let load = dice.log(0.02, 0.25);
    let open = Arrivals::Open {
        per_second: (load * capacity(&world.disks[0], WorkKind::Read, 16 * KIB)).min(2_000.0),
        at_once: 64,
    };
    let jobs = vec![read(16), (0.5, write(16).1)];
    let busy = stream(dice, open, jobs, always(&world));
    world
        .parties
        .push(machine(dice, "vm-steady", Does::Load, vec![busy]));
    let length = dice.time(2 * MS, 15 * MS);
    let every = (length as f64 / dice.log(0.0003, 0.002)) as Ns;
    let mut from = dice.below(every);
    while from < world.end() {
        world.disks[0].phases.push(Phase {
            from,
            to: from + length,
            slower: f64::INFINITY,
        });
        from += every;
    }
    if dice.chance(0.5) {
        let active = a_while(dice, &world, (0.2, 1.0));
        let trim = free_trim(dice, active);
        world.parties.push(trim);
    }
    world
}

/// Trouble has begun long before the window opens, and ends some time in it.
fn already_going_on(dice: &mut Dice) -> World {
    let mut disk = bulk_disk(dice);
    let trims = dice.chance(0.5) && disk.seek.is_none();
    let (_, plain) = bounds(disk.class);
    disk.discards = DiscardCost {
        effect: DiscardEffect::Exclusive,
        each_ns: dice.time(3 * plain, 30 * plain) + 5 * disk.network_ns,
        ns_per_mib: 0,
    };
    let mut world = world(dice, disk, SECONDS);
    world.before = dice.time(2 * S, 12 * S);
    users(dice, &mut world, 100.0);
    let (_, to) = during(&world, 0.0, dice.between(0.1, 0.6))[0];
    let active = vec![(dice.below(world.before / 2), to)];
    let party = if trims {
        let mib = *dice.pick(&[16, 128]);
        fstrim(dice, active, mib, 100 * US)
    } else {
        let kind = *dice.pick(&[WorkKind::Read, WorkKind::Write]);
        let kib = *dice.pick(&[64, 256, 1_024]);
        let load = queue_of(dice, &world, (kind, kib), active);
        somebody(dice, "mydumper", Does::Load, vec![load])
    };
    world.parties.push(party);
    daemons(dice, &mut world);
    world
}

/// The server behind a volume stops answering for a while, again and again; one of its users is
/// busy and did nothing.
fn server_stalls_beside_busy_vm(dice: &mut Dice) -> World {
    let disk = server(dice);
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 200.0);
    let open = Arrivals::Open {
        per_second: (dice.between(0.1, 0.4) * capacity(&world.disks[0], WorkKind::Read, 32 * KIB))
            .min(1_500.0),
        at_once: 64,
    };
    let jobs = vec![read(32), (0.5, write(32).1)];
    let busy = stream(dice, open, jobs, always(&world));
    world
        .parties
        .push(machine(dice, "vm-busy", Does::Load, vec![busy]));
    let stalls = again_and_again(dice, &world, (200 * MS, 2 * S), (1500 * MS, 10 * S));
    let stand = |(from, to)| Phase {
        from,
        to,
        slower: f64::INFINITY,
    };
    world.disks[0].phases.extend(stalls.into_iter().map(stand));
    daemons(dice, &mut world);
    world
}

/// Two read their own files from a hard disk, each of them well alone, and the arm goes to and fro.
fn two_streams_on_a_hard_disk(dice: &mut Dice) -> World {
    let disk = hard_disk(dice);
    let mut world = world(dice, disk, SECONDS);
    for (number, name) in ["vm-left", "vm-right"].into_iter().enumerate() {
        let kib = *dice.pick(&[64, 128, 256]);
        let load = dice.between(0.25, 0.6);
        let open = Arrivals::Open {
            per_second: load * sequential_rate(&world.disks[0], kib),
            at_once: dice.count(8, 48),
        };
        let mut reads = stream(dice, open, vec![read(kib)], always(&world));
        let begins = number as u64 * dice.time(1_000_000_000, 6_000_000_000);
        reads.sectors = (begins, begins + 100_000_000);
        reads.sequential = true;
        world
            .parties
            .push(machine(dice, name, Does::Load, vec![reads]));
    }
    if dice.chance(0.5) {
        users(dice, &mut world, 10.0);
    }
    daemons(dice, &mut world);
    world
}

/// A volume has so many bytes in a second by contract, and one of its users takes them all.
fn bandwidth_cap(dice: &mut Dice) -> World {
    let mut disk = if dice.chance(0.5) {
        server(dice)
    } else {
        flash(dice, (100 * US, MS))
    };
    let bytes_per_second = dice.log(15.0, 250.0) * MIB as f64;
    disk.limit = Some(Limit {
        iops: f64::INFINITY,
        bytes_per_second,
        burst: dice.log(0.05, 2.0),
    });
    let mut world = world(dice, disk, SECONDS);
    users(dice, &mut world, 60.0);
    let kib = *dice.pick(&[128, 256, 1_024]);
    let wait = felt(dice, &world.disks[0]);
    let one = (kib * KIB) as f64 / bytes_per_second * S as f64;
    let at_once = (wait as f64 / one).clamp(2.0, 128.0) as u32 + world.disks[0].served_at_once;
    let active = a_while(dice, &world, (0.4, 1.0));
    let think = dice.time(20 * US, MS);
    let load = stream(dice, closed(think, at_once), vec![read(kib)], active);
    world
        .parties
        .push(machine(dice, "vm-export", Does::Load, vec![load]));
    daemons(dice, &mut world);
    world
}

/// Somebody writes into memory, much less than the disk could take, and all of it is written back
/// at once every few seconds.
fn dirty_pages_at_once(dice: &mut Dice) -> World {
    let disk = bulk_disk(dice);
    let mut world = world(dice, disk, (15.0, 46.0));
    users(dice, &mut world, 60.0);
    let kib = *dice.pick(&[128, 256, 1_024]);
    let wait = felt(dice, &world.disks[0]);
    let disk = &world.disks[0];
    let load = dice.between(0.1, 0.5);
    let rate = load * sequential_rate(disk, kib) * (kib * KIB) as f64;
    let every_ns = dice.time(4 * S, 12 * S);
    let between = (rate * every_ns as f64 / S as f64) as u64;
    let cache = PageCache {
        disk: 0,
        background_bytes: 3 * between,
        limit_bytes: 6 * between,
        every_ns,
        in_flight: depth_for(disk, WorkKind::Write, kib, wait),
        request_bytes: (kib * KIB) as u32,
        ordered: false,
    };
    world.caches.push(cache);
    let bytes = (*dice.pick(&[64, 256]) * KIB) as u32;
    let think = (f64::from(bytes) / rate * S as f64) as Ns;
    let job = (1.0, Job::Buffered { bytes });
    let writes = stream(dice, closed(think, 1), vec![job], always(&world));
    world
        .parties
        .push(somebody(dice, "virt-v2v", Does::Dirties, vec![writes]));
    daemons(dice, &mut world);
    world
}

/// A backup runs exactly while the disk is slow by itself: no observer can tell.
fn backup_as_disk_slows_coincident(dice: &mut Dice) -> World {
    let mut disk = flash(dice, (60 * US, MS));
    disk.served_at_once = dice.count(4, 16);
    let mut world = world(dice, disk, SECONDS);
    world.coincident = true;
    let slowed = dice.time(15 * MS, 150 * MS);
    users(dice, &mut world, (0.2 * S as f64 / slowed as f64).max(4.0));
    let active = a_while(dice, &world, (0.2, 0.6));
    let (from, to) = active[0];
    let slower = slowed as f64 / world.disks[0].read_ns as f64;
    world.disks[0].phases.push(Phase { from, to, slower });
    let kib = *dice.pick(&[32, 64, 128]);
    let think = dice.time(100 * US, 5 * MS);
    let mut reads = stream(dice, closed(think, 1), vec![read(kib)], active);
    reads.sequential = true;
    world
        .parties
        .push(somebody(dice, "kopia", Does::Load, vec![reads]));
    daemons(dice, &mut world);
    world
}

/// The disk tidies up, and stands still for it, each time right after somebody wrote much; here it
/// would do so anyway.
fn pauses_after_writes_coincident(dice: &mut Dice) -> World {
    let mut disk = flash(dice, (60 * US, MS));
    disk.served_at_once = dice.count(4, 16);
    disk.ns_per_kib = dice.time(1_000, 4_000) * u64::from(disk.served_at_once);
    let mut world = world(dice, disk, SECONDS);
    world.coincident = true;
    users(dice, &mut world, 100.0);
    let bursts = again_and_again(dice, &world, (200 * MS, 2 * S), (2 * S, 8 * S));
    for (_, to) in &bursts {
        let from = to + dice.below(50 * MS);
        world.disks[0].phases.push(Phase {
            from,
            to: from + dice.time(100 * MS, 1500 * MS),
            slower: f64::INFINITY,
        });
    }
    let at_once = dice.count(1, 3);
    let kib = *dice.pick(&[128, 256, 512]);
    let writes = Stream {
        sequential: true,
        ..stream(dice, closed(200 * US, at_once), vec![write(kib)], bursts)
    };
    world
        .parties
        .push(somebody(dice, "kafka-mirror", Does::Load, vec![writes]));
    daemons(dice, &mut world);
    world
}

#[cfg(test)]
mod tests {
    use super::FAMILIES;
    use crate::families::Family;
    use crate::play::{Change, play};
    use crate::truth::{Role, State, Truth, truth};
    use crate::world::World;

    /// What a family's name says of its worlds.
    #[derive(Debug)]
    enum Promise {
        /// Without the one of this name half of the trouble is gone, and that is of this kind.
        Culprit(&'static str, &'static str),
        /// This kind is right, and this one innocent.
        Innocent(&'static str, &'static str),
        /// This kind is right, whoever else had a part in it.
        Kind(&'static str),
        /// Those have a part in it.
        Together(&'static [&'static str]),
        /// Without one of those, whichever is there, half is gone.
        Either(&'static [&'static str]),
        /// There is nothing to tell.
        Calm,
    }

    const PROMISES: &[(&str, Promise)] = &[
        (
            "backup_beside_database",
            Promise::Culprit("kopia", "noisy_neighbor"),
        ),
        (
            "migration_bursts",
            Promise::Culprit("vm-arrives", "noisy_neighbor"),
        ),
        (
            "snapshot_coalesce",
            Promise::Culprit("longhorn", "noisy_neighbor"),
        ),
        (
            "volume_discarded",
            Promise::Culprit("lvremove", "other_discards"),
        ),
        ("trim_of_several", Promise::Culprit("fstrim", "host_trim")),
        (
            "rebuild_at_a_set_rate",
            Promise::Culprit("rebuilder", "noisy_neighbor"),
        ),
        ("cron_swarm", Promise::Culprit("php", "noisy_neighbor")),
        (
            "trim_beside_neighbor",
            Promise::Culprit("rclone", "noisy_neighbor"),
        ),
        (
            "trim_beside_neighbor",
            Promise::Innocent("noisy_neighbor", "fstrim"),
        ),
        (
            "neighbor_beside_own_load",
            Promise::Together(&["vm-neighbor"]),
        ),
        (
            "pause_with_trim_elsewhere",
            Promise::Innocent("device_hang", "fstrim"),
        ),
        (
            "slower_and_slower",
            Promise::Innocent("slow_device", "aide"),
        ),
        ("hang_ended_by_reset", Promise::Kind("device_hang")),
        ("two_hurt_by_two", Promise::Together(&["rclone", "fstrim"])),
        (
            "flush_pays_for_others",
            Promise::Culprit("ffmpeg", "noisy_neighbor"),
        ),
        ("small_stalls", Promise::Calm),
        ("already_going_on", Promise::Either(&["mydumper", "fstrim"])),
        (
            "server_stalls_beside_busy_vm",
            Promise::Innocent("upstream_storage", "vm-busy"),
        ),
        (
            "two_streams_on_a_hard_disk",
            Promise::Together(&["vm-left", "vm-right"]),
        ),
        ("bandwidth_cap", Promise::Kind("upstream_storage")),
        (
            "dirty_pages_at_once",
            Promise::Culprit("virt-v2v", "noisy_neighbor"),
        ),
        (
            "backup_as_disk_slows_coincident",
            Promise::Innocent("slow_device", "kopia"),
        ),
        (
            "pauses_after_writes_coincident",
            Promise::Innocent("slow_device", "kafka-mirror"),
        ),
    ];

    const WORLDS: u64 = 5;

    fn named(world: &World, name: &str) -> Option<usize> {
        let is_it = |party: &crate::world::Party| party.who.comm == name || party.who.name == name;
        world.parties.iter().position(is_it)
    }

    fn role(world: &World, truth: &Truth, name: &str) -> Option<Role> {
        let episode = truth.episodes.first()?;
        named(world, name).map(|party| episode.role(party))
    }

    fn is_of(truth: &Truth, kind: &str) -> bool {
        truth.state == State::Hurt && truth.episodes.iter().any(|one| one.kinds.contains(kind))
    }

    fn is_kept(promise: &Promise, world: &World, truth: &Truth) -> bool {
        let is = |name: &str, wanted: Role| role(world, truth, name) == Some(wanted);
        match promise {
            Promise::Culprit(name, kind) => is_of(truth, kind) && is(name, Role::Culprit),
            Promise::Innocent(kind, name) => is_of(truth, kind) && is(name, Role::Innocent),
            Promise::Kind(kind) => is_of(truth, kind),
            Promise::Together(names) => {
                let takes_part = |name: &&str| !is(name, Role::Innocent);
                truth.state == State::Hurt && names.iter().all(takes_part)
            }
            Promise::Either(names) => {
                truth.state == State::Hurt && names.iter().any(|name| is(name, Role::Culprit))
            }
            Promise::Calm => truth.state != State::Hurt,
        }
    }

    fn true_of(family: &Family) -> Vec<(World, Truth)> {
        let one = |number| {
            let world = family.world(number);
            let truth = truth(&world, &play(&world, &Change::default(), None));
            (world, truth)
        };
        (1..=WORLDS).map(one).collect()
    }

    #[test]
    fn most_worlds_are_what_their_family_is_named_after() {
        let mut broken = Vec::new();
        for family in FAMILIES {
            let worlds = true_of(family);
            let mut promises = PROMISES
                .iter()
                .filter(|(name, _)| *name == family.name)
                .peekable();
            assert!(
                promises.peek().is_some(),
                "{} promises nothing",
                family.name
            );
            for (_, promise) in promises {
                let kept = worlds
                    .iter()
                    .filter(|(world, truth)| is_kept(promise, world, truth));
                let kept = kept.count() as u64;
                if 3 * kept < 2 * WORLDS {
                    broken.push(format!(
                        "{}: {promise:?} in {kept} of {WORLDS}",
                        family.name
                    ));
                }
            }
        }
        assert!(broken.is_empty(), "{broken:#?}");
    }
}
