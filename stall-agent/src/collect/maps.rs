//! The maps of the BPF object, by name and type.

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, RingBuf};
use stall_common::blocked::{Blocked, BlockedKey, Sleep};
use stall_common::discard::{DiscardKey, Discards};
use stall_common::disk::{DiskState, NAME_LEN, Series};
use stall_common::exposure::Sides;
use stall_common::older::{Search, Waiter};
use stall_common::owner::{Owned, OwnerKey};
use stall_common::record::Budget;
use stall_common::request::Slot;
use stall_common::stack::Stack;
use stall_common::task_io::{EndedIo, ProcessKey};
use stall_common::uses::{Use, UseKey};

/// Typed handles.
pub struct Maps {
    /// Slots, by their numbers.
    pub requests: Array<MapData, Slot>,
    /// Numbers, by the address of the `struct request`.
    pub request_numbers: HashMap<MapData, u64, u32>,
    /// Who waits for requests from before the trace, by the address of the `struct request`.
    pub waiters: HashMap<MapData, u64, Waiter>,
    /// The search for these.
    pub search: Array<MapData, Search>,
    pub series: Array<MapData, Series>,
    /// `disk << 8 | operation` to the series' number.
    pub series_ids: HashMap<MapData, u32, u32>,
    pub disk_states: Array<MapData, DiskState>,
    /// By name, filled up with zeros.
    pub disk_filter: HashMap<MapData, [u8; NAME_LEN], u32>,
    /// Numbers of rows.
    pub uses: HashMap<MapData, UseKey, u32>,
    /// Numbers given back, in a ring, and how many were taken and given.
    pub use_numbers: Array<MapData, u32>,
    pub uses_taken: Array<MapData, u64>,
    pub uses_given: Array<MapData, u64>,
    pub use_rows: Array<MapData, Use>,
    pub sides: Array<MapData, Sides>,
    pub owners: HashMap<MapData, OwnerKey, Owned>,
    pub discards: HashMap<MapData, DiscardKey, Discards>,
    pub sleeps: HashMap<MapData, u32, Sleep>,
    pub blocked: HashMap<MapData, BlockedKey, Blocked>,
    pub stacks: HashMap<MapData, u64, Stack>,
    pub ended_io: HashMap<MapData, ProcessKey, EndedIo>,
    pub losses: Array<MapData, u64>,
    pub control: Array<MapData, u32>,
    pub budgets: Array<MapData, Budget>,
}

macro_rules! take {
    ($ebpf:expr, $name:literal) => {
        $ebpf
            .take_map($name)
            .with_context(|| format!("the BPF object has no map {}", $name))?
            .try_into()
            .with_context(|| format!("map {} has another type", $name))?
    };
}

impl Maps {
    /// Takes the maps out of the object.
    ///
    /// # Errors
    ///
    /// When one is missing or of another type: the object is not of this build.
    pub fn take(ebpf: &mut Ebpf) -> Result<Self> {
        Ok(Self {
            requests: take!(ebpf, "REQUESTS"),
            request_numbers: take!(ebpf, "REQUEST_NUMBERS"),
            waiters: take!(ebpf, "WAITERS"),
            search: take!(ebpf, "SEARCH"),
            series: take!(ebpf, "SERIES"),
            series_ids: take!(ebpf, "SERIES_IDS"),
            disk_states: take!(ebpf, "DISK_STATES"),
            disk_filter: take!(ebpf, "DISK_FILTER"),
            uses: take!(ebpf, "USES"),
            use_numbers: take!(ebpf, "USE_NUMBERS"),
            uses_taken: take!(ebpf, "USES_TAKEN"),
            uses_given: take!(ebpf, "USES_GIVEN"),
            use_rows: take!(ebpf, "USE_ROWS"),
            sides: take!(ebpf, "SIDES"),
            owners: take!(ebpf, "OWNERS"),
            discards: take!(ebpf, "DISCARDS"),
            sleeps: take!(ebpf, "SLEEPS"),
            blocked: take!(ebpf, "BLOCKED"),
            stacks: take!(ebpf, "STACKS"),
            ended_io: take!(ebpf, "ENDED_IO"),
            losses: take!(ebpf, "LOSSES"),
            control: take!(ebpf, "CONTROL"),
            budgets: take!(ebpf, "BUDGETS"),
        })
    }

    /// Turns a switch of `stall_common::control` on or off.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn switch(&mut self, switch: u32, on: bool) -> Result<()> {
        Ok(self.control.set(switch, u32::from(on), 0)?)
    }
}

/// Takes the ring of records.
///
/// # Errors
///
/// As for [`Maps::take`].
pub fn records(ebpf: &mut Ebpf) -> Result<RingBuf<MapData>> {
    Ok(take!(ebpf, "RECORDS"))
}
