//! The verdict in one sentence. Foreign names in it are as they were found; a terminal gets them escaped.

use super::above::is_under;
use super::stalls::Stalls;
use super::{Ruling, confidence, holder};
use crate::Findings;
use stall_report::model::{
    Confidence, Culprit, Device, Exposure, Hypothesis, Kind, Origin, Reason, Standing, Waiter,
};
use stall_report::{duration, kind_in_words, share, thousands};

pub(super) fn sentence(
    findings: &Findings,
    stalls: &Stalls,
    ruling: &Ruling<'_>,
    culprits: &[Culprit],
    waiters: &[Waiter],
) -> String {
    match (ruling.cause, ruling.kind) {
        (Some(cause), _) => blame(findings, cause, culprits, waiters),
        (None, Kind::NoStall) => nothing(findings, stalls),
        (
            None,
            Kind::Inconclusive
            | Kind::HostTrim
            | Kind::GuestTrim
            | Kind::OtherDiscards
            | Kind::HeavyNeighbour
            | Kind::LockHolder
            | Kind::SlowDevice
            | Kind::Flushes
            | Kind::AboveTheDisk,
        ) => unexplained(findings, stalls, ruling),
    }
}

/// Said when something else is the cause, and somebody else's: whoever reads it suspects the trim.
pub(super) fn acquittal(
    ruling: &Ruling<'_>,
    culprits: &[Culprit],
    weighed: &[Hypothesis],
) -> &'static str {
    let Some(cause) = ruling.cause.filter(|cause| cause.origin.is_none()) else {
        return "";
    };
    let trims = |culprit: &Culprit| culprit.origin == Some(Origin::FilesystemTrim);
    if culprits.iter().any(trims) {
        return "";
    }
    // One that is not most of the discards there (D6) may have its part in it.
    let is_acquitted = |one: &Hypothesis| {
        one.kind == Kind::HostTrim
            && one.standing == Standing::Refuted
            && one.rule.as_deref() != Some("D6")
            && one.device == cause.device
    };
    if weighed.iter().any(is_acquitted) {
        "; the filesystem trim there did not do it"
    } else {
        ""
    }
}

/// A second cause on another device, as sure as `medium` or more: two disks can be slow for two reasons.
pub(super) fn besides(findings: &Findings, ruling: &Ruling<'_>, weighed: &[Hypothesis]) -> String {
    let Some(device) = ruling.cause.and_then(|cause| cause.device.as_ref()) else {
        return String::new();
    };
    let is_second = |one: &&Hypothesis| {
        let id = one.device.as_ref().filter(|id| *id != device);
        one.standing == Standing::Supported
            && one.confidence >= Some(Confidence::Medium)
            && id.is_some_and(|id| !is_stacked(findings, id, device))
    };
    let second = weighed.iter().find(is_second);
    let (Some(one), Some(id)) = (second, second.and_then(|one| one.device.as_ref())) else {
        return String::new();
    };
    format!("; besides, on {id}, {}", kind_in_words(one.kind))
}

/// Whether one of them is made of the other: what is wrong with the one is seen on both.
fn is_stacked(findings: &Findings, one: &str, other: &str) -> bool {
    let find = |id: &str| findings.devices.iter().find(|device| device.id == id);
    let both = find(one).zip(find(other));
    both.is_some_and(|(one, other)| is_under(one, other) || is_under(other, one))
}

fn blame(
    findings: &Findings,
    cause: &Hypothesis,
    culprits: &[Culprit],
    waiters: &[Waiter],
) -> String {
    let id = cause.device.as_deref().unwrap_or("?");
    let waited = count(waiters);
    if let Some(sentence) = by_table(cause, id, culprits, &waited) {
        return sentence + &while_waiting(findings, cause);
    }
    let name = culprits
        .first()
        .map_or("an unknown process", |culprit| culprit.label.as_str());
    let others = more(culprits);
    let device = findings.devices.iter().find(|device| device.id == id);
    let origin = cause.origin.map_or("discards", of_origin);
    let effect = device.map_or_else(String::new, |device| effect(device, cause, culprits));
    format!("{name}{others} holds up {id} with {origin}: {effect}; {waited} waited")
}

/// What a lock's holder does meanwhile.
fn while_waiting(findings: &Findings, cause: &Hypothesis) -> String {
    if cause.kind != Kind::LockHolder {
        return String::new();
    }
    let reason = holder::waits_for(findings, cause).map(of_reason);
    match (reason, cause.device.as_deref()) {
        (Some(reason), Some(id)) => format!("; meanwhile it waits for {reason} on {id}"),
        (Some(reason), None) => format!("; meanwhile it waits for {reason}"),
        (None, _) => "; meanwhile it runs, or sleeps elsewhere".to_owned(),
    }
}

const fn of_reason(reason: Reason) -> &'static str {
    match reason {
        Reason::Discard => "a discard",
        Reason::Read => "a read",
        Reason::Write => "a write",
        Reason::Flush => "a flush",
        Reason::Journal => "the journal",
        Reason::PageLock => "a page",
        Reason::PageWriteback => "writeback",
        Reason::Lock => "a lock",
        Reason::RequestTag => "a free request",
        Reason::WritebackThrottling => "writeback throttling",
        Reason::BlockThrottle => "a limit of its control group",
        Reason::QueueFrozen => "a frozen queue",
        Reason::StackedDevice => "device mapper or RAID",
        Reason::UserSpaceServer => "a server in user space",
        Reason::NetworkStorage => "a server on the network",
        Reason::Swap => "swap",
        Reason::MemoryReclaim => "memory",
        Reason::OtherIo => "I/O",
        Reason::Other | Reason::Unknown => "something not known",
    }
}

fn more(culprits: &[Culprit]) -> String {
    match culprits.len() {
        0 | 1 => String::new(),
        more => format!(" and {} more", more - 1),
    }
}

/// Of the hypotheses that the table of who delayed whom supports.
fn by_table(cause: &Hypothesis, id: &str, culprits: &[Culprit], waited: &str) -> Option<String> {
    let part = cause.score.map_or_else(|| "?".to_owned(), share);
    let name = culprits.first().map_or("nobody known", |one| &one.label);
    let others = more(culprits);
    let verb = if culprits.len() > 1 { "keep" } else { "keeps" };
    match cause.kind {
        Kind::HeavyNeighbour => Some(format!(
            "{name}{others} {verb} {id} busy: {part} of the time others waited in slow requests it worked for that; {waited} waited"
        )),
        Kind::Flushes => Some(format!(
            "{id} flushed its cache in {part} of the time waited in slow requests, most often asked by {name}{others}; {waited} waited"
        )),
        Kind::SlowDevice | Kind::AboveTheDisk if is_doubtful(cause) => Some(format!(
            "{id} is slow by itself, or its discards slow it: {part} of the slow requests' time, and more, is its own, yet they are \
             slow while discards are in flight; {waited} waited; stop the discards and compare"
        )),
        Kind::SlowDevice => Some(format!(
            "{id} itself is slow: {part} of the time waited in slow requests, and more, is its own; {waited} waited, \
             and no process is to blame"
        )),
        Kind::AboveTheDisk if cause.device.is_some() => Some(format!(
            "{id} is slow, and no disk of this host is: {part} of the time waited in slow requests, and more, is its own; {waited} \
             waited; look at the server behind it, its storage and the way there"
        )),
        Kind::AboveTheDisk => Some(format!(
            "no disk was slow: {part} of the time processes were in D they waited for a server in user space or on the \
             network; {waited} waited"
        )),
        Kind::LockHolder => Some(format!(
            "{name} holds a lock that others wait for: {part} of the time they were in D ends at it; {waited} waited"
        )),
        Kind::HostTrim
        | Kind::GuestTrim
        | Kind::OtherDiscards
        | Kind::NoStall
        | Kind::Inconclusive => None,
    }
}

/// Rule T4.
pub(super) fn is_doubtful(cause: &Hypothesis) -> bool {
    cause.rule.as_deref() == Some("T4")
}

/// The kernel's threads wait on behalf of processes; they count only when nobody else is known.
fn count(waiters: &[Waiter]) -> String {
    let is_process = |waiter: &&Waiter| waiter.pid.is_some() && !waiter.kernel_thread;
    match (waiters.iter().filter(is_process).count(), waiters.len()) {
        (0, threads) => format!("{threads} of the kernel's threads"),
        (1, _) => "1 process".to_owned(),
        (more, _) => format!("{more} processes"),
    }
}

const fn of_origin(origin: Origin) -> &'static str {
    match origin {
        Origin::FilesystemTrim => "a filesystem trim",
        Origin::OnlineDiscard => "the discards of a filesystem mounted with discard",
        Origin::Blkdiscard => "blkdiscard",
        Origin::Mkfs => "the discards of making a filesystem",
        Origin::Guest => "the discards of a guest",
        Origin::OtherProgram => "discards it asks the device for",
        Origin::Swap => "discards of swap space",
        Origin::LoopDevice => "discards a loop device passes down",
        Origin::StackedDevice => "discards of device mapper or RAID",
        Origin::StorageTarget => "discards of a machine it exports to",
        Origin::Unknown => "discards of unknown origin",
    }
}

fn effect(device: &Device, cause: &Hypothesis, culprits: &[Culprit]) -> String {
    let compared = cause.rule.as_deref() == Some("D4");
    match &device.exposure {
        Some(exposure) if compared => means(exposure),
        Some(exposure) => without_pause(device, exposure),
        None => hangs(culprits),
    }
}

fn without_pause(device: &Device, exposure: &Exposure) -> String {
    let busy = share(device.discard_clock.busy_share.unwrap_or(0.0));
    let mean = exposure
        .exposed
        .mean_ns
        .map_or_else(|| "?".to_owned(), duration);
    format!(
        "a discard was in flight {busy} of the time, and requests of others took {mean} on average"
    )
}

/// Nobody else's request ended.
fn hangs(culprits: &[Culprit]) -> String {
    let oldest = culprits
        .iter()
        .filter_map(|culprit| culprit.oldest_unfinished_ns)
        .max();
    let age = oldest.map_or_else(|| "?".to_owned(), duration);
    format!("a discard has been in flight for {age}, and requests of others hang behind it")
}

fn means(exposure: &Exposure) -> String {
    let mean = |ns: Option<u64>| ns.map_or_else(|| "?".to_owned(), duration);
    format!(
        "requests of others took {} on average with a discard in flight, {} without",
        mean(exposure.exposed.mean_ns),
        mean(exposure.unexposed.mean_ns)
    )
}

fn nothing(findings: &Findings, stalls: &Stalls) -> String {
    let slow = duration(findings.settings.slow_ns);
    let base = match (stalls.ops, stalls.slow_ops) {
        (0, _) => "nobody waited for a disk".to_owned(),
        (_, 0) => format!(
            "none of {} requests took {slow} or longer",
            thousands(stalls.ops)
        ),
        (ops, slow_ops) => {
            format!(
                "only {} of {} requests took {slow} or longer",
                thousands(slow_ops),
                thousands(ops)
            )
        }
    };
    let trims = findings
        .discards
        .iter()
        .filter(|group| group.origin == Origin::FilesystemTrim);
    match trims.map(|group| group.device.as_str()).next() {
        Some(device) => {
            format!("nothing was slow: {base}; a filesystem trim on {device} delayed nobody")
        }
        None => format!("nothing was slow: {base}"),
    }
}

fn unexplained(findings: &Findings, stalls: &Stalls, ruling: &Ruling<'_>) -> String {
    if ruling.stalled.is_none() {
        return blind(findings);
    }
    let Some(device) = stalls.devices.first() else {
        return format!(
            "{} tasks were in D for a second or longer, yet no disk was slow: the cause lies above the disks",
            stalls.tasks.len()
        );
    };
    let stall = findings
        .devices
        .iter()
        .find(|one| one.id == *device)
        .and_then(|one| one.stall.as_ref());
    let (slow, ops) = stall.map_or((0, 0), |stall| (stall.slow_ops, stall.ops));
    let limit = duration(findings.settings.slow_ns);
    format!(
        "{device} was slow ({} of {} requests took {limit} or longer); {}",
        thousands(slow),
        thousands(ops),
        discards_there(findings, device)
    )
}

fn discards_there(findings: &Findings, device: &str) -> &'static str {
    match findings.discards.iter().any(|group| group.device == device) {
        false => "no discards were sent to it, and nobody else stands out",
        true => "discards were sent to it, but the evidence does not make them the cause",
    }
}

fn blind(findings: &Findings) -> String {
    match confidence::missing(&findings.hooks).next() {
        Some(hook) => format!(
            "nothing slow was seen, but the hook {} was not there to see all",
            hook.hook
        ),
        None => {
            let lost = share(findings.losses.request_share);
            format!("nothing slow was seen, but {lost} of the requests were lost")
        }
    }
}
