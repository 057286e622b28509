//! Why a task sleeps in D, decided by what is known of the sleep and by the functions on its kernel
//! stack.
//!
//! The rule, in this order:
//!
//! 1. Facts before names: when the kernel itself says which lock the task waits for, it is that
//!    lock; when it says that the task waits for I/O, it is none that only its taker would tell.
//! 2. From the innermost function outwards the first with a row in the table of
//!    [`super::kernel_function`] decides, up to a boundary (memory is freed, a fault is served):
//!    what is beyond it did not ask for what happens inside. Functions that only sleep or wait for
//!    another (the table's carriers) never decide. A wait for some page or some I/O asks further
//!    outwards what for.
//! 3. Whose code it is ([`super::family`]): a server's client or a stacked device's driver further
//!    inside than what a row knows makes it a wait for that server or device; a client anywhere on
//!    the stack also makes reads, writes, flushes, pages and other I/O that. When no row decides,
//!    the innermost family does.
//! 4. How it came in (a read, a write, a sync) comes last, and only when nothing further inside is
//!    somebody else's code: a write to sysfs is none to a disk.
//!
//! What nothing of this decides is `other`: nothing known, not nothing that matters.

use super::family::{self, Family, Kind};
use super::kernel_function::{self as table, By, Meaning, Place, Row};
use super::symbol::{Function, functions};
use stall_capture::Stack;
use stall_report::model::Reason;

/// What was decided, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) reason: Reason,
    /// Whose code it waits in: `nfs`, `dm`, `ext4`.
    pub(super) family: Option<String>,
    /// The function that decided.
    pub(super) decided_by: Option<String>,
    /// The first function beyond it that does not decide the same.
    pub(super) called_from: Option<String>,
    /// The sleep is ended by a task that lets go, of a lock or with a commit.
    pub(super) is_released_by_a_task: bool,
}

/// What the kernel itself says of a sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Facts {
    /// It named the task that holds the lock which is waited for.
    pub(super) holder_is_known: bool,
    /// `task_struct.in_iowait` was set: it is no lock.
    pub(super) is_io: bool,
}

/// Of a sleep as captures have it; what is not known is not so.
pub(super) fn facts(holder_is_known: bool, io_wait: Option<bool>) -> Facts {
    Facts {
        holder_is_known,
        is_io: io_wait == Some(true),
    }
}

/// Decides for one stack.
pub(super) fn decide(stack: Option<&Stack>, facts: Facts) -> Decision {
    let trace = Trace::new(stack, facts.is_io);
    let found = if facts.holder_is_known {
        trace.lock_by_fact()
    } else if trace.steps.is_empty() {
        Found::of_none(Reason::Unknown)
    } else {
        trace.decide()
    };
    let name = |at: usize| trace.steps[at].function.name.to_owned();
    Decision {
        reason: found.reason,
        family: found.family.map(|family| family.name.to_owned()),
        decided_by: found.decided_by.map(name),
        called_from: match found.decided_by {
            Some(at) => trace.caller(at, found.reason).map(name),
            None => trace.first_that_says_anything().map(name),
        },
        is_released_by_a_task: found.ended == By::Task,
    }
}

/// Whether a wait has to do with storage at all: of a lock and of a program that serves others,
/// whose it is decides.
pub(super) fn is_storage(reason: Reason, family: Option<&str>) -> bool {
    match reason {
        Reason::MemoryReclaim | Reason::Other => false,
        Reason::Lock => family.is_some_and(family::is_storage),
        Reason::UserSpaceServer => family != Some("userfaultfd"),
        Reason::Discard
        | Reason::Zeroout
        | Reason::Read
        | Reason::Write
        | Reason::Flush
        | Reason::Journal
        | Reason::PageLock
        | Reason::PageWriteback
        | Reason::FrozenFilesystem
        | Reason::RequestTag
        | Reason::WritebackThrottling
        | Reason::DirtyThrottling
        | Reason::BlockThrottle
        | Reason::QueueFrozen
        | Reason::StackedDevice
        | Reason::NetworkStorage
        | Reason::Swap
        | Reason::OtherIo
        | Reason::Unknown => true,
    }
}

/// A function of the stack, and what is known of it.
struct Step<'a> {
    function: Function<'a>,
    meaning: Meaning,
    family: Option<Family<'a>>,
}

impl Step<'_> {
    const fn row(&self) -> Option<&'static Row> {
        match self.meaning {
            Meaning::Decides(row) => Some(row),
            _ => None,
        }
    }
}

/// The functions of a stack, innermost first.
struct Trace<'a> {
    steps: Vec<Step<'a>>,
    /// No fact says that it is I/O, and the scheduler is not on it: then locks would be, too.
    may_be_lock: bool,
    /// The first that is neither the scheduler nor the tracing in front of it.
    first: usize,
    /// The first beyond which nobody asked for what happens inside.
    end: usize,
}

/// What decided.
#[derive(Clone, Copy)]
struct Found<'a> {
    reason: Reason,
    ended: By,
    decided_by: Option<usize>,
    family: Option<Family<'a>>,
}

impl Found<'_> {
    const fn of_none(reason: Reason) -> Self {
        Self {
            reason,
            ended: By::Interrupt,
            decided_by: None,
            family: None,
        }
    }
}

impl<'a> Trace<'a> {
    fn new(stack: Option<&'a Stack>, is_io: bool) -> Self {
        let all: Vec<Function<'a>> = stack.into_iter().flat_map(functions).collect();
        let is_smb_server = all
            .iter()
            .any(|one| one.module == Some("ksmbd") || one.name.contains("ksmbd"));
        let has_scheduler = all.iter().any(|one| table::is_scheduler(one.name));
        let may_be_lock = !has_scheduler && !is_io;
        let mut is_innermost = may_be_lock;
        let step = |function: Function<'a>| {
            let meaning = table::meaning(function.name, is_innermost);
            is_innermost &= meaning == Meaning::Tracing;
            Step {
                function,
                meaning,
                family: family::of(&function, is_smb_server)
                    .filter(|_| !waits_for_another(meaning)),
            }
        };
        let steps: Vec<Step<'a>> = all.into_iter().map(step).collect();
        let says_something =
            |step: &Step<'_>| !matches!(step.meaning, Meaning::Scheduler | Meaning::Tracing);
        let first = steps.iter().position(says_something);
        let first = first.unwrap_or(steps.len());
        let rows = (first..steps.len()).filter_map(|at| Some((at, steps[at].row()?)));
        let boundary = rows
            .into_iter()
            .find(|(_, row)| row.place == Place::Boundary);
        let end = boundary.map_or(steps.len(), |(at, _)| at);
        Self {
            steps,
            may_be_lock,
            first,
            end,
        }
    }

    /// Of the functions before the boundary, innermost first.
    fn rows(&self) -> impl Iterator<Item = (usize, &'static Row)> {
        (self.first..self.end).filter_map(|at| Some((at, self.steps[at].row()?)))
    }

    fn families(&self) -> impl Iterator<Item = (usize, Family<'a>)> {
        (self.first..self.end).filter_map(|at| Some((at, self.steps[at].family?)))
    }

    /// A bus and a network carry storage, too: then it is that of whose code asked them.
    fn innermost_family(&self) -> Option<(usize, Family<'a>)> {
        let is_transport = |family: &Family<'_>| ["drivers", "net"].contains(&family.name);
        let beyond = self.families().find(|(_, family)| !is_transport(family));
        let asked = beyond.filter(|(_, family)| {
            family.kind != Kind::Elsewhere && family.name != family::VFS_NAME
        });
        asked.or_else(|| self.families().next())
    }

    fn decide(&self) -> Found<'a> {
        let by_row = self.by_row();
        if let Some((at, kind)) = self.who_knows_better(by_row) {
            return self.of_family(at, kind);
        }
        match (by_row, self.innermost_family()) {
            (Some((at, row)), _) if row.reason == Reason::Lock => self.lock(at, row),
            (Some((at, row)), _) => self.of_row(at, row),
            (None, Some((at, family))) => match family.kind {
                Kind::Filesystem | Kind::Block => self.of_local(at, family),
                kind => self.of_family(at, kind),
            },
            (None, None) => self.nothing_inside(),
        }
    }

    /// A server's client or a stacked device's driver that sleeps further inside than what a row
    /// knows; a client also further outside, of what could be any file's.
    fn who_knows_better(&self, by_row: Option<(usize, &Row)>) -> Option<(usize, Kind)> {
        let knows_better = |(at, family): &(usize, Family<'_>)| {
            let is_inside = by_row.is_none_or(|(row_at, _)| *at < row_at);
            let reason = by_row.map(|(_, row)| row.reason);
            match family.kind {
                Kind::Network | Kind::UserSpace => is_inside || reason.is_some_and(is_generic),
                Kind::Stacked => is_inside || reason == Some(Reason::OtherIo),
                Kind::Block | Kind::Filesystem | Kind::Elsewhere => false,
            }
        };
        // A client has the last word: a stacked device may lie between it and the row.
        let is_client = |family: &Family<'_>| family.kind != Kind::Stacked;
        let mut clients = self.families().filter(|(_, family)| is_client(family));
        let client = clients.find(knows_better);
        let found = client.or_else(|| self.families().find(knows_better));
        found.map(|(at, family)| (at, family.kind))
    }

    /// What the table says: certain, or the purpose of some I/O.
    fn by_row(&self) -> Option<(usize, &'static Row)> {
        let mut io = None;
        for (at, row) in self.rows() {
            match row.place {
                Place::Anywhere | Place::Innermost => return Some((at, row)),
                Place::AskCaller => return Some(self.caller_or(at, row)),
                Place::Io => io = io.or(Some((at, row))),
                Place::Purpose | Place::Entry | Place::Boundary => {}
            }
        }
        let (at, row) = io?;
        Some(self.purpose(at).unwrap_or((at, row)))
    }

    /// What the function that called one says. Of pages of nobody's, where memory is freed, that.
    fn caller_or(&self, at: usize, row: &'static Row) -> (usize, &'static Row) {
        let asks = |step: &Step<'_>| match step.meaning {
            Meaning::Decides(row) => row.place == Place::AskCaller,
            Meaning::Carrier => true,
            _ => false,
        };
        let caller = (at..self.steps.len()).find(|one| !asks(&self.steps[*one]));
        let knows = |row: &Row| match row.place {
            Place::Anywhere => row.reason != Reason::Lock,
            Place::Boundary => row.reason == Reason::MemoryReclaim,
            _ => false,
        };
        let of_caller =
            caller.and_then(|at| Some((at, self.steps[at].row().filter(|row| knows(row))?)));
        let freed = || {
            let row = self.steps.get(self.end)?.row()?;
            let is_somebodys = |(_, family): (usize, Family<'_>)| family.kind != Kind::Elsewhere;
            let is_nobodys =
                row.reason == Reason::MemoryReclaim && !self.families().any(is_somebodys);
            is_nobodys.then_some((self.end, row))
        };
        of_caller.or_else(freed).unwrap_or((at, row))
    }

    /// Beyond a function: what a filesystem or an entry is for, when nothing in between is no
    /// storage.
    fn purpose(&self, from: usize) -> Option<(usize, &'static Row)> {
        let is_no_storage = |at: &usize| {
            let family = self.steps[*at].family;
            family.is_some_and(|family| family.kind == Kind::Elsewhere)
        };
        let to = (from..self.end).find(is_no_storage).unwrap_or(self.end);
        let at = |place| {
            let mut rows = self.rows().filter(move |(at, _)| (from..to).contains(at));
            rows.find(|(_, row)| row.place == place)
        };
        at(Place::Purpose).or_else(|| at(Place::Entry))
    }

    /// A lock is that of the innermost whose code is known.
    fn lock(&self, at: usize, row: &'static Row) -> Found<'a> {
        let is_lock = |at: &usize| {
            let row = self.steps[*at].row();
            row.is_some_and(|row| row.reason == Reason::Lock && row.place == Place::Anywhere)
        };
        let taker = (at..self.steps.len()).find(|at| !is_lock(at));
        if let Some(taker) = taker.filter(|taker| self.is_frozen(at, *taker)) {
            return Found {
                reason: Reason::FrozenFilesystem,
                ended: By::Task,
                decided_by: Some(at),
                family: self.name_of(Some(taker), |kind| kind == Kind::Filesystem),
            };
        }
        let to = (self.end + 1).min(self.steps.len());
        // What a driver does in a lock of its own, called by a read or write, is not told by these.
        let is_strange =
            |step: &Step<'_>| step.family.is_none() && step.meaning == Meaning::Strange;
        let mut steps = self.steps[at..to].iter();
        let known = steps
            .by_ref()
            .find(|step| step.family.is_some() || is_strange(step));
        let owner = known.filter(|step| step.family.is_some()).or_else(|| {
            steps.find(|step| step.family.is_some() && !family::is_entry(&step.function))
        });
        let owner = owner.and_then(|step| step.family);
        Found {
            reason: Reason::Lock,
            ended: row.ended,
            decided_by: Some(at),
            family: owner,
        }
    }

    /// Whether the lock at `at`, taken by `taker`, is that of a filesystem that somebody froze.
    fn is_frozen(&self, at: usize, taker: usize) -> bool {
        let name = self.steps[taker].function.name;
        let takes_part = self.steps[taker].row();
        takes_part.is_some_and(|row| row.reason == Reason::FrozenFilesystem)
            || (self.steps[at..taker]
                .iter()
                .any(|step| table::is_percpu_rwsem(step.function.name))
                && !table::takes_another_percpu_rwsem(name))
    }

    fn of_row(&self, at: usize, row: &'static Row) -> Found<'a> {
        let is_other = row.reason == Reason::Other;
        Found {
            reason: row.reason,
            ended: row.ended,
            decided_by: Some(at),
            family: self.name_of(None, |kind| is_other || kind != Kind::Elsewhere),
        }
    }

    fn of_family(&self, at: usize, kind: Kind) -> Found<'a> {
        let reason = match kind {
            Kind::Network => Reason::NetworkStorage,
            Kind::UserSpace => Reason::UserSpaceServer,
            Kind::Stacked => Reason::StackedDevice,
            Kind::Block | Kind::Filesystem => Reason::OtherIo,
            Kind::Elsewhere => match self.steps.get(self.end).and_then(Step::row) {
                Some(row) => row.reason,
                None => Reason::Other,
            },
        };
        Found {
            reason,
            ended: By::Interrupt,
            decided_by: Some(at),
            family: self.name_of(Some(at), |one| one == kind),
        }
    }

    /// In the code of a filesystem, or of a disk: what it does, or a lock that it takes.
    fn of_local(&self, at: usize, family: Family<'a>) -> Found<'a> {
        let before = &self.steps[self.first..at];
        let carried = |meaning| before.iter().any(|step| step.meaning == meaning);
        if carried(Meaning::GracePeriod) && family.kind == Kind::Filesystem {
            return Found::of_none(Reason::Other);
        }
        let is_innermost = at == self.first && self.may_be_lock;
        let purpose = self.purpose(at + usize::from(is_innermost));
        if let Some((at, row)) =
            purpose.filter(|(at, row)| row.place == Place::Purpose || self.is_all_known(*at))
        {
            return self.of_row(at, row);
        }
        if is_innermost && family.kind == Kind::Filesystem {
            // Most likely; not so sure that whoever woke it should be called the holder.
            return Found {
                reason: Reason::Lock,
                ended: By::Interrupt,
                decided_by: Some(at),
                family: self.name_of(Some(at), |kind| kind == Kind::Filesystem),
            };
        }
        let mut beyond = self.families().skip_while(|(one, _)| *one < at);
        let own = beyond.find(|(_, family)| family.name != family::VFS_NAME);
        match own.filter(|(_, family)| family.kind != Kind::Elsewhere) {
            Some((at, family)) => self.of_family(at, family.kind),
            None => Found::of_none(Reason::Other),
        }
    }

    /// Every function further inside is known to lead to storage, or to lead nowhere else.
    fn is_all_known(&self, at: usize) -> bool {
        let mut inside = self.steps[self.first..at].iter();
        inside.all(|step| step.family.is_some() || step.meaning != Meaning::Strange)
    }

    fn nothing_inside(&self) -> Found<'a> {
        match self.steps.get(self.end).and_then(Step::row) {
            Some(row) if row.reason != Reason::Other => self.of_row(self.end, row),
            _ => Found::of_none(Reason::Other),
        }
    }

    /// The innermost family of such a kind from a function on; one that others build on when there
    /// is none of these.
    fn name_of(&self, from: Option<usize>, is_meant: impl Fn(Kind) -> bool) -> Option<Family<'a>> {
        let from = from.unwrap_or(self.first);
        let meant = || {
            let families = self.families().filter(move |(at, _)| *at >= from);
            families
                .map(|(_, family)| family)
                .filter(|family| is_meant(family.kind))
        };
        let own = meant().find(|family| !family.is_library);
        own.or_else(|| meant().next())
    }

    /// The kernel said that it is one; the innermost function took it.
    fn lock_by_fact(&self) -> Found<'a> {
        let by_row = self.by_row().filter(|(_, row)| row.reason == Reason::Lock);
        let row = by_row.map_or(table::LOCK_BY_FACT, |(_, row)| row);
        let at = by_row.map_or(self.first, |(at, _)| at);
        let found = self.lock(at.min(self.steps.len()), row);
        Found {
            ended: By::Task,
            decided_by: found.decided_by.filter(|at| *at < self.steps.len()),
            ..found
        }
    }

    fn caller(&self, at: usize, reason: Reason) -> Option<usize> {
        let is_another = |at: &usize| {
            let row = self.steps[*at].row();
            row.is_none_or(|row| row.reason != reason)
        };
        (at + 1..self.steps.len()).find(is_another)
    }

    fn first_that_says_anything(&self) -> Option<usize> {
        let says = |at: &usize| {
            !matches!(
                self.steps[*at].meaning,
                Meaning::Carrier | Meaning::GracePeriod | Meaning::Scheduler | Meaning::Tracing
            )
        };
        (self.first..self.steps.len()).find(says)
    }
}

/// Its own family says nothing: it sleeps for whoever called it.
const fn waits_for_another(meaning: Meaning) -> bool {
    matches!(meaning, Meaning::Carrier | Meaning::GracePeriod)
}

/// Of a file's data, whoever keeps it: what a server or a stacked device on the stack knows better.
const fn is_generic(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::Read
            | Reason::Write
            | Reason::Flush
            | Reason::PageLock
            | Reason::PageWriteback
            | Reason::OtherIo
    )
}
