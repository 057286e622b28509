//! A device that is slow by itself: what to collect of it, by how it is attached.

use super::case::Case;
use super::plain;
use super::step::{self, Step};
use stall_report::model::Device;

/// A RAID of more is asked for disk by disk by whoever needs it.
const SHOWN: usize = 4;

pub(super) fn steps(case: &Case<'_>) -> Vec<Step> {
    let mut steps = vec![case.doubt().unwrap_or_else(nobody)];
    for disk in case.physical().into_iter().take(SHOWN) {
        steps.extend(health(disk));
    }
    steps.push(kernel_log(case));
    steps.extend(array(case));
    steps.push(case.confirm(
        "trace again when it has been changed, or an hour later, to see whether it is slow all the time",
    ));
    steps.push(for_good());
    steps
}

fn nobody() -> Step {
    step::now("no process on this host is to blame: collect what the device and the kernel say, before anything is restarted")
        .source("docs/principles.md of stall-agent, J5")
}

/// What the disk says of itself.
fn health(disk: &Device) -> Vec<Step> {
    let Some(name) = plain::word(&disk.name) else {
        return vec![step::now("ask the disk for its health: smartctl -x").source("smartctl(8)")];
    };
    match disk.transport.as_deref() {
        Some("nvme" | "pcie") => nvme(name),
        Some("sata" | "sas" | "ata" | "scsi" | "usb" | "raid") => vec![smart(name)],
        Some("virtio") => vec![
            step::now(format!("{name} is a disk of a virtual machine: look at the host that runs it, and run stall-agent there"))
                .source("stall-agent"),
        ],
        None if name.starts_with("nvme") => nvme(name),
        None if name.starts_with("sd") => vec![smart(name)],
        Some(_) | None => vec![about(name)],
    }
}

fn smart(name: &str) -> Step {
    step::now("health, error log, self-tests and temperature of the disk")
        .command(format!("smartctl -x /dev/{name}"))
        .changes_nothing()
        .source("smartctl(8)")
}

/// The controller of `nvme0n1` is `nvme0`.
fn nvme(name: &str) -> Vec<Step> {
    let end = name.rfind('n').filter(|at| *at > "nvme".len());
    let controller = end.map_or(name, |at| &name[..at]);
    vec![
        smart(name),
        step::now("wear, spare, temperature and media errors, as the NVMe controller counts them")
            .command(format!("nvme smart-log /dev/{controller}"))
            .changes_nothing()
            .source("nvme-smart-log(1)"),
        step::now("the commands that failed")
            .command(format!("nvme error-log /dev/{controller} --log-entries=64"))
            .changes_nothing()
            .source("nvme-error-log(1)"),
    ]
}

fn about(name: &str) -> Step {
    step::now(format!(
        "see what {name} is made of, and what lies behind it"
    ))
    .command(format!(
        "lsblk --inverse --output NAME,TYPE,TRAN,MODEL,STATE,SIZE /dev/{name}"
    ))
    .changes_nothing()
    .source("lsblk(8)")
}

/// Timeouts, resets and errors, with the names they are logged under.
fn kernel_log(case: &Case<'_>) -> Step {
    let names = case.physical().into_iter().take(SHOWN);
    let mut words: Vec<&str> = names.filter_map(|disk| plain::word(&disk.name)).collect();
    words.extend([
        "I/O error",
        "timeout",
        "timed out",
        "reset",
        "blocked for more than",
        "AER:",
    ]);
    step::now("timeouts, resets and errors in the kernel's log")
        .command(format!("dmesg --time-format iso | grep -iE '{}'", words.join("|")))
        .changes_nothing()
        .source("dmesg(1); the kernel logs a task in D after kernel.hung_task_timeout_secs only (480 s on SUSE)")
}

fn array(case: &Case<'_>) -> Option<Step> {
    let is_raid = case.device()?.raid_level.is_some();
    is_raid.then(|| {
        step::now("whether the RAID is resyncing or degraded")
            .command("cat /proc/mdstat")
            .changes_nothing()
            .source("md(4)")
    })
}

fn for_good() -> Step {
    step::for_good(
        "what was collected tells which: new firmware, another slot or cable, a disk of another model, or a cooler place",
    )
    .source("smartctl(8), nvme-smart-log(1)")
}
