//! What a world consists of: disks, parties with their programs, and what goes wrong. Plain data; nothing here moves.
//!
//! Times are nanoseconds since the world began; the window opens at `before`.

/// Nanoseconds.
pub type Ns = u64;
/// A microsecond.
pub const US: Ns = 1_000;
/// A millisecond.
pub const MS: Ns = 1_000_000;
/// A second.
pub const S: Ns = 1_000_000_000;
/// KiB and MiB in bytes.
pub const KIB: u64 = 1 << 10;
/// MiB in bytes.
pub const MIB: u64 = 1 << 20;

/// All there is, and all that will happen.
#[derive(Clone, Debug)]
pub struct World {
    /// Of all streams of chance.
    pub seed: u64,
    /// How long the world runs before the window opens.
    pub before: Ns,
    /// Length of the window.
    pub window: Ns,
    pub disks: Vec<Disk>,
    pub parties: Vec<Party>,
    /// Filesystems whose journal commits for all who wait.
    pub journals: Vec<Journal>,
    /// Memory that buffered writes wait in, one for each disk that has such writers.
    pub caches: Vec<PageCache>,
    /// When filesystems took no writes.
    pub freezes: Vec<Freeze>,
    /// Parts of the window that have a truth each, since the window opened; one that is all of it where it is empty.
    pub episodes: Vec<(Ns, Ns)>,
    /// Trouble and suspect coincide by construction: no observer can tell them apart in one window.
    pub coincident: bool,
}

/// What a disk is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Solid state, attached here.
    Flash,
    /// It turns.
    Rotational,
    /// A server behind a network.
    Network,
}

/// A device as the block layer meets it.
#[derive(Clone, Debug)]
pub struct Disk {
    pub name: String,
    pub class: Class,
    /// Requests it serves at once; one is a serial disk.
    pub served_at_once: u32,
    /// Requests it is given at once; more wait in the scheduler.
    pub depth: u32,
    /// Requests there can be at all (`nr_requests`); who wants more waits for a tag.
    pub tags: u32,
    /// Of those it was given it takes the nearest first.
    pub nearest_first: bool,
    /// Of one request without its bytes.
    pub read_ns: Ns,
    pub write_ns: Ns,
    pub ns_per_kib: Ns,
    /// Of a move across all of it, and of one turn; `None` for what does not turn.
    pub seek: Option<Seek>,
    /// There and back, while which nothing here is occupied.
    pub network_ns: Ns,
    pub discards: DiscardCost,
    /// `None` for a disk without a volatile cache: flushes cost nothing.
    pub cache: Option<WriteCache>,
    /// How many times as long everything takes as on a healthy one.
    pub slowness: f64,
    /// The same of flushes alone.
    pub flush_slowness: f64,
    /// When it is slower, or stands still.
    pub phases: Vec<Phase>,
    /// A region that is hard to read.
    pub bad: Option<BadRegion>,
    /// What it admits, by contract and not by its nature.
    pub limit: Option<Limit>,
    /// A discard that is being served when this time comes never ends, and nothing else does.
    pub hangs_in_discard_at: Option<Ns>,
}

/// Arm and platter.
#[derive(Clone, Copy, Debug)]
pub struct Seek {
    pub across_ns: Ns,
    pub turn_ns: Ns,
}

/// What discards do.
#[derive(Clone, Copy, Debug)]
pub struct DiscardCost {
    pub effect: DiscardEffect,
    /// Of each, and of each MiB.
    pub each_ns: Ns,
    pub ns_per_mib: Ns,
}

/// To others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DiscardEffect {
    /// Nothing else is served meanwhile.
    Exclusive,
    /// What is begun meanwhile takes so many times as long; the discards occupy nothing themselves.
    Slows(f64),
    /// They cost others nothing.
    Free,
}

/// A volatile write cache.
#[derive(Clone, Copy, Debug)]
pub struct WriteCache {
    /// Of each flush, and of each MiB written since the last.
    pub flush_ns: Ns,
    pub flush_ns_per_mib: Ns,
    /// Nothing else is served meanwhile.
    pub exclusive: bool,
}

/// A time in which the disk is slower; infinitely so when it stands still.
#[derive(Clone, Copy, Debug)]
pub struct Phase {
    pub from: Ns,
    pub to: Ns,
    pub slower: f64,
}

/// Reads of these sectors take so much longer.
#[derive(Clone, Copy, Debug)]
pub struct BadRegion {
    pub from: u64,
    pub to: u64,
    pub retries_ns: Ns,
}

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    /// Requests per second; infinite without.
    pub iops: f64,
    pub bytes_per_second: f64,
    /// What may be had at once after a rest, in seconds of the rate.
    pub burst: f64,
}

impl Limit {
    /// Time for which a request takes all that is admitted.
    #[must_use]
    pub fn cost_ns(self, bytes: u64) -> Ns {
        let seconds = (1.0 / self.iops).max(bytes as f64 / self.bytes_per_second);
        (seconds * S as f64) as Ns
    }
}

/// Whoever can be asked to stop: a program, a unit, a pod, a virtual machine.
#[derive(Clone, Debug)]
pub struct Party {
    pub who: Who,
    /// What it is when the others' trouble goes away with it.
    pub does: Does,
    pub streams: Vec<Stream>,
    /// Of its control group.
    pub limit: Option<Limit>,
}

/// How it is found on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    pub kind: WhoKind,
    /// Name of the unit, pod or virtual machine; of a program, what it is called.
    pub name: String,
    pub comm: String,
    pub namespace: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhoKind {
    Program,
    Unit,
    Pod,
    Vm,
}

/// The kind of cause that a party can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    Load,
    HostTrim,
    GuestTrim,
    OtherDiscards,
    Flushes,
    /// Data that a journal's commit has to write first.
    JournalData,
    /// Buffered writes.
    Dirties,
}

/// One thread, or one queue of a virtual machine.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Which process of its party.
    pub process: u32,
    pub disk: usize,
    pub arrivals: Arrivals,
    /// What it does, each with a weight.
    pub jobs: Vec<(f64, Job)>,
    /// When it does; since the world began.
    pub active: Vec<(Ns, Ns)>,
    /// The thread sleeps until its request has ended; else it is told.
    pub sleeps: bool,
    /// Its reads are read-ahead: nobody waits for one by itself.
    pub ahead: bool,
    /// Sectors it goes through; one after another when `sequential`.
    pub sectors: (u64, u64),
    pub sequential: bool,
    /// After so many jobs the process ends, and another like it begins.
    pub jobs_of_a_process: Option<u32>,
}

/// When the next job comes.
#[derive(Clone, Copy, Debug)]
pub enum Arrivals {
    /// So long after the last has ended, on average; so many of them at once.
    Closed { think_ns: Ns, at_once: u32 },
    /// So many in a second, whatever becomes of them; so many at once at most, those beyond are dropped.
    Open { per_second: f64, at_once: u32 },
    /// At times that are given, since the world began.
    Every { ns: Ns },
}

/// One thing a stream does; it has ended when all of it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    Read {
        bytes: u32,
    },
    /// Direct, or otherwise waited for.
    Write {
        bytes: u32,
    },
    /// A write, then a flush of the disk's cache.
    SyncedWrite {
        bytes: u32,
    },
    Flush,
    /// So many requests at once.
    Discard {
        bytes: u32,
        pieces: u32,
    },
    /// A write, then a commit of the disk's journal.
    Fsync {
        bytes: u32,
    },
    /// Into memory; waits only when that has too much of it.
    Buffered {
        bytes: u32,
    },
}

/// The journal of a filesystem.
#[derive(Clone, Debug)]
pub struct Journal {
    pub disk: usize,
    /// It commits at least so often.
    pub every_ns: Ns,
    /// Bytes of the log itself, for each commit.
    pub log_bytes: u32,
}

/// The filesystem of a disk takes no writes (fsfreeze(8)), since the world began.
#[derive(Clone, Copy, Debug)]
pub struct Freeze {
    pub disk: usize,
    pub from: Ns,
    pub to: Ns,
}

/// Pages that wait to be written to a disk.
#[derive(Clone, Debug)]
pub struct PageCache {
    pub disk: usize,
    /// The worker begins at so many bytes, and writers wait at so many.
    pub background_bytes: u64,
    pub limit_bytes: u64,
    /// It looks so often, and keeps so many requests of so many bytes in flight.
    pub every_ns: Ns,
    pub in_flight: u32,
    pub request_bytes: u32,
    /// A commit of the journal writes what is dirty first.
    pub ordered: bool,
}

impl World {
    /// When the window closes, since the world began.
    #[must_use]
    pub const fn end(&self) -> Ns {
        self.before + self.window
    }

    /// Parts of the window with a truth each, since the world began.
    #[must_use]
    pub fn parts(&self) -> Vec<(Ns, Ns)> {
        if self.episodes.is_empty() {
            return vec![(self.before, self.end())];
        }
        let since = |&(from, to): &(Ns, Ns)| (self.before + from, self.before + to);
        self.episodes.iter().map(since).collect()
    }
}

impl Disk {
    /// The same disk without anything wrong with it.
    #[must_use]
    pub fn healthy(&self) -> Self {
        Self {
            slowness: 1.0,
            flush_slowness: 1.0,
            phases: Vec::new(),
            bad: None,
            hangs_in_discard_at: None,
            ..self.clone()
        }
    }

    /// Time of a request on it when it is healthy and has nothing else to do; the arm `away` sectors from where it is
    /// asked to be.
    #[must_use]
    pub fn alone_ns(&self, job: &Work, away: u64) -> Ns {
        let kib = job.bytes / KIB;
        let work = match job.kind {
            WorkKind::Read => self.read_ns + kib * self.ns_per_kib,
            WorkKind::Write => self.write_ns + kib * self.ns_per_kib,
            WorkKind::Discard => self.discards.each_ns + job.bytes * self.discards.ns_per_mib / MIB,
            WorkKind::Flush => self.cache.map_or(0, |cache| cache.flush_ns),
        };
        let seek = match (self.seek, job.kind) {
            (Some(seek), WorkKind::Read | WorkKind::Write) => seek.ns(away),
            _ => 0,
        };
        (work as f64 * f64::from(job.noise)) as Ns + seek
    }
}

impl Seek {
    /// A move over some sectors, and half a turn; nothing for the next sector. By the root of the distance, as arms speed
    /// up and brake.
    #[must_use]
    pub fn ns(self, away: u64) -> Ns {
        /// Sectors of a disk of 4 TB.
        const ACROSS: f64 = 8e9;
        if away < 2048 {
            return 0;
        }
        let share = (away as f64 / ACROSS).min(1.0);
        (self.across_ns as f64 * share.sqrt()) as Ns + self.turn_ns / 2
    }
}

/// What a disk is asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub kind: WorkKind,
    pub bytes: u64,
    /// Of its own time, this much: no two requests are alike.
    pub noise: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkKind {
    Read,
    Write,
    Flush,
    Discard,
}
