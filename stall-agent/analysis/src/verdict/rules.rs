//! The numbers of the rules in `docs/principles.md`, by their names there.

/// S1: slow requests from which a flow is hurt, and their share.
pub(crate) const HURT_SLOW_OPS: u64 = 5;
pub(crate) const HURT_SHARE: f64 = 0.01;
/// S1: part of the time waited that is waited in slow requests, and that time as a part of the window.
pub(crate) const HURT_WAITED_SHARE: f64 = 0.20;
pub(crate) const HURT_WINDOW_SHARE: f64 = 0.02;
/// S2, S3, D5: a wait this long is a stall by itself.
pub(crate) const SEVERE_NS: u64 = 1_000_000_000;

/// D3: the least part of the exposed requests' time that must have a discard in flight.
pub(super) const LEAST_OVERLAP: f64 = 0.10;

/// D4: what a comparison needs.
pub(super) const COMPARED_OPS: u64 = 20;
pub(super) const COMPARED_SHARE: f64 = 0.05;
pub(super) const COMPARED_NS: u64 = 500_000_000;
/// D4: below these, discards changed nothing.
pub(super) const NO_WAIT_RATIO: f64 = 1.25;
pub(super) const NO_RISK: f64 = 1.5;

/// D4: what a level of confidence needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    /// Lower end of the relative risk's interval.
    pub(super) risk: f64,
    pub(super) wait_ratio: f64,
    pub(super) explained: f64,
    pub(super) exposed_slow: u64,
}

pub(super) const HIGH: Level = Level {
    risk: 2.0,
    wait_ratio: 3.0,
    explained: 0.5,
    exposed_slow: 20,
};
pub(super) const MEDIUM: Level = Level {
    risk: 1.5,
    wait_ratio: 2.0,
    explained: 0.2,
    exposed_slow: 5,
};
pub(super) const LOW: Level = Level {
    risk: 1.0,
    wait_ratio: 1.5,
    explained: 0.1,
    exposed_slow: 1,
};

/// D5: the least share of exposed requests that are slow.
pub(super) const HURT_EXPOSED_SHARE: f64 = 0.10;

/// D5: when slow requests end soon after discards do, and when they do not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) requests: u64,
    pub(super) early: f64,
    pub(super) late: f64,
}

pub(super) const STRICT_STEP: Step = Step {
    requests: 50,
    early: 0.8,
    late: 0.1,
};
pub(super) const IN_STEP: Step = Step {
    requests: 20,
    early: 0.6,
    late: 0.2,
};
pub(super) const OUT_OF_STEP: f64 = 0.4;
pub(super) const OUT_OF_STEP_REQUESTS: u64 = 20;

/// D5: a disk that stops by itself stops while a trim runs with this probability at most; trims come back in a week.
pub(super) const BY_CHANCE: f64 = 0.001;
pub(super) const TRIMS_COME_BACK_NS: u64 = 7 * 24 * 3_600 * 1_000_000_000;
/// D7: a task that falls asleep so soon after a discard was submitted waits for it.
pub(crate) const SAME_SLEEP_NS: u64 = 10_000_000;

/// B1, N, F, T: slow requests from which the table says something.
pub(super) const TABLE_OPS: u64 = 20;
/// B1: a smaller part of the slow requests' wait laid on discards lets no more than low stand.
pub(super) const LEAST_BLAMED: f64 = 0.10;
/// N1: part of what all neighbours caused from which one is heavy.
pub(super) const PART_OF_HEAVY: f64 = 0.20;
/// N3: how many times as much as any victim each heavy one must have used the device.
pub(super) const LARGER_USE: f64 = 1.5;

/// T2: requests on a device at a time, on average, from which nobody sees what one takes by itself.
pub(super) const CROWDED: f64 = 4.0;

/// N2, F1, T1: parts of the slow requests' wait for each level of confidence.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) high: f64,
    pub(super) medium: f64,
    pub(super) low: f64,
}

pub(super) const NEIGHBOUR: Share = Share {
    high: 0.60,
    medium: 0.35,
    low: 0.20,
};
pub(super) const FLUSHES: Share = Share {
    high: 0.50,
    medium: 0.35,
    low: 0.20,
};
pub(super) const DEVICE: Share = Share {
    high: 0.70,
    medium: 0.50,
    low: 0.35,
};

/// L1: sleeps from which a lock counts; L3: from which it can be `high`; L: holders weighed, those others waited for most.
pub(super) const LOCK_SLEEPS: u64 = 2;
pub(super) const MANY_LOCK_SLEEPS: u64 = 5;
pub(super) const LOCK_HOLDERS: usize = 3;
/// L3, A3: parts of the time processes were in D for storage.
pub(super) const LOCK: Share = Share {
    high: 0.60,
    medium: 0.35,
    low: 0.20,
};

/// D6: part of a disk's discard time that is of one origin.
pub(super) const MAIN_ORIGIN: f64 = 0.5;
pub(super) const ONLY_ORIGIN: f64 = 0.8;

/// C1
pub(super) const SHORT_WINDOW_NS: u64 = 5_000_000_000;
/// C2, C3, C5
pub(super) const SOME_LOSS: f64 = 0.01;
pub(super) const MUCH_LOSS: f64 = 0.10;
