//! What threads of the kernel did for control groups.

use aya_ebpf::bindings::BPF_NOEXIST;
use aya_ebpf::{macros::map, maps::HashMap};
use stall_common::loss::Loss;
use stall_common::owner::{Owned, OwnerKey};
use stall_common::request::Slot;

use crate::{counter, loss};

#[map]
static OWNERS: HashMap<OwnerKey, Owned> = HashMap::with_max_entries(2048, 0);

/// Counts an ended request for the group it was for, if any.
#[inline(always)]
pub(crate) fn count(slot: &Slot, total_ns: u64, service_ns: u64) {
    if slot.cgroup != 0 {
        add(slot, total_ns, service_ns);
    }
}

#[inline(never)]
fn add(slot: &Slot, total_ns: u64, service_ns: u64) {
    let key = OwnerKey {
        cgroup: slot.cgroup.into(),
        actor: slot.actor,
        disk: slot.disk,
        op: slot.op.into(),
    };
    let Some(row) = row(key) else {
        return;
    };
    // SAFETY: fields of an element of a hash map that is never deleted.
    unsafe {
        counter::add(&raw mut (*row).ops, 1);
        counter::add(&raw mut (*row).bytes, slot.done_bytes.into());
        counter::add(&raw mut (*row).total_ns, total_ns);
        counter::add(&raw mut (*row).service_ns, service_ns);
    }
}

#[inline(always)]
fn row(key: OwnerKey) -> Option<*mut Owned> {
    if let Some(row) = OWNERS.get_ptr_mut(key) {
        return Some(row);
    }
    // That another CPU just inserted it is no error.
    let _exists = OWNERS.insert(key, Owned::default(), BPF_NOEXIST.into());
    let row = OWNERS.get_ptr_mut(key);
    if row.is_none() {
        loss::count(Loss::OwnersFull);
    }
    row
}
