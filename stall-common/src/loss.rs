//! What was not measured, counted by cause.

macro_rules! losses {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// Index into `LOSSES`.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Loss { $($(#[$doc])* $variant),+ }

        impl Loss {
            /// All, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Name in the report.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

losses! {
    /// A request was not followed: `REQUESTS` was full
    RequestsFull = "requests_map_full",
    /// A submitter counted as unknown: `ACTORS` was full
    ActorsFull = "actors_map_full",
    /// A completion not counted for its actor: `USES` was full
    UsesFull = "uses_map_full",
    /// A request of a disk for which there was no room: beyond `MAX_DISKS`, or `DISKS` was full
    DisksFull = "disks_map_full",
    /// A request without histograms: `SERIES` was full
    SeriesFull = "series_map_full",
    /// A discard not counted by origin: `DISCARDS` was full
    DiscardsFull = "discards_map_full",
    /// A completion not counted for the control group it was for: `OWNERS` was full
    OwnersFull = "owners_map_full",
    /// A sleep not followed: `SLEEPS` was full
    SleepsFull = "sleeps_map_full",
    /// A sleep not counted: `BLOCKED` was full
    BlockedFull = "blocked_map_full",
    /// A stack not kept: `STACKS` was full
    StacksFull = "stacks_map_full",
    /// A process, task or row not known for want of a number: several CPUs asked for one at once, again and again
    Contended = "numbers_contended",
    /// A stack that could not be walked
    StackWalk = "stack_walk_failed",
    /// A record not sent: the ring buffer was full
    RingFull = "ring_buffer_full",
    /// A record held back: the interval's budget was spent
    RecordBudget = "records_over_budget",
    /// A completion of a request that was never seen, without the kernel's own stamp
    UnmatchedCompletion = "unmatched_completions",
    /// A request begun again whose completion was not seen
    MissedCompletion = "missed_completions",
    /// A completion of a request of which less was left than its completions so far had left over:
    /// one before was not seen. Its bytes count
    MissedPartial = "missed_partial_completions",
    /// A sleep begun again whose wake-up was not seen
    MissedWakeup = "missed_wakeups",
    /// An end before its start
    NegativeTime = "negative_times",
    /// A discard clock read between two changes
    ClockRace = "discard_clock_races",
}

/// Number of [`Loss`] causes.
pub const LOSSES: usize = Loss::ALL.len();
