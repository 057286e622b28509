//! Virtual machines, their disks, and the latency of these from the guest down to the physical disk.

use maud::{Markup, html};

use super::{figure, foreign};
use crate::Report;
use crate::model::{Vm, VmDisk, VmLayer};
use crate::text::word;

const VMS: usize = 40;

pub(super) fn section(report: &Report) -> Markup {
    html! {
        @if !report.vms.is_empty() {
            section #vms {
                h2 { "Virtual machines" }
                @for (number, vm) in report.vms.iter().take(VMS).enumerate() { (machine(number, vm)) }
                (super::verdict::more(report.vms.len(), VMS))
            }
        }
    }
}

fn machine(number: usize, vm: &Vm) -> Markup {
    html! {
        h3 { (foreign::short(&vm.label)) span.muted { " pid " (vm.pid) } }
        @for (index, disk) in vm.disks.iter().enumerate() {
            (self::disk(&format!("/vms/{number}/disks/{index}"), disk))
        }
    }
}

fn disk(place: &str, disk: &VmDisk) -> Markup {
    html! {
        p {
            (foreign::code(&disk.path, 80))
            @if let Some(device) = &disk.device { ", here " (foreign::short(device)) }
            @if let Some(volume) = &disk.volume { ", volume " (foreign::short(volume)) }
            @for replica in &disk.replicas {
                ", replica in " (foreign::short(replica.directory.as_deref().unwrap_or("a directory not known")))
                @if replica.rebuilding == Some(true) { ", rebuilding" }
            }
            @for remote in disk.replica_addresses.iter().filter(|one| one.local == Some(false)) {
                ", replica at " (foreign::short(&remote.address))
            }
            @if !disk.physical.is_empty() { ", on " (foreign::short(&disk.physical.join(", "))) }
        }
        @if !disk.layers.is_empty() {
            div.scroll { table {
                thead { tr {
                    th scope="col" { "layer" } th scope="col" { "operation" }
                    @for words in ["mean", "99 %", "slow", "of"] { th.number scope="col" { (words) } }
                    th scope="col" { "device" }
                } }
                tbody { @for (index, layer) in disk.layers.iter().enumerate() { (self::layer(&format!("{place}/layers/{index}"), layer)) } }
            } }
        }
    }
}

fn layer(place: &str, layer: &VmLayer) -> Markup {
    html! {
        tr {
            th scope="row" { (word(&layer.layer)) }
            td { (word(&layer.op)) }
            td.number { (figure::time(place, "mean_ns", layer.mean_ns)) }
            td.number { (figure::time(place, "p99_ns", layer.p99_ns)) }
            td.number { (figure::count(place, "slow_ops", layer.slow_ops)) }
            td.number { (figure::count(place, "ops", layer.ops)) }
            td { (foreign::short(&layer.device)) }
        }
    }
}
