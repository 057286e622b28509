//! What to do next, for each verdict, one file per family. The agent changes nothing: all of it is for a person.
//!
//! Contract: a command is made of the program's own words, numbers, and names of the machine that are nothing but plain
//! characters ([`plain`]); what a process is called never becomes part of one. Each command says what it changes,
//! what it risks and where the advice comes from, and can be pasted as it is.

mod above;
mod case;
mod collect;
mod discards;
mod fstab;
mod guest;
mod host_trim;
mod limit;
mod longhorn;
mod neighbour;
mod oem;
mod others;
mod pieces;
mod plain;
mod step;
mod stop;
mod timer;
mod waits;

#[cfg(test)]
mod tests;

use super::judged::Ruling;
use crate::findings::Findings;
use case::Case;
use stall_report::model::{Advice, Culprit, Kind, Origin};

pub(super) fn advice(findings: &Findings, ruling: &Ruling, culprits: &[Culprit]) -> Vec<Advice> {
    let case = Case {
        findings,
        ruling,
        culprits,
    };
    let steps = match ruling.kind {
        Kind::HostTrim => host_trim::steps(&case),
        Kind::GuestTrim => guest::steps(&case),
        Kind::OtherDiscards if case.origin() == Origin::Guest => guest::steps(&case),
        Kind::OtherDiscards => discards::steps(&case),
        Kind::NoisyNeighbor => neighbour::steps(&case),
        Kind::Flushes => others::flushes(&case),
        Kind::SlowDevice | Kind::DeviceHang => collect::steps(&case),
        Kind::OwnLoad | Kind::Overload => waits::load(&case),
        Kind::ArrayResync => waits::array(&case),
        Kind::CgroupLimit => waits::limit(),
        Kind::Frozen => waits::frozen(),
        Kind::Suspended => waits::suspended(),
        Kind::DirtyThrottling => waits::dirty(),
        Kind::Memory => waits::memory(),
        Kind::Cpu => waits::cpu(),
        Kind::NotVisible => waits::not_visible(),
        Kind::LockHolder => others::lock_holder(&case),
        Kind::UpstreamStorage => above::steps(&case),
        Kind::NoStall => others::no_stall(&case),
        Kind::Inconclusive => others::inconclusive(&case),
    };
    steps.into_iter().map(Advice::from).collect()
}
