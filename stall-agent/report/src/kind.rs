//! What a verdict is called, in words.

use crate::model::Kind;

/// What it was.
pub const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::HostTrim => "a filesystem trim on this host",
        Kind::GuestTrim => "a guest's own trim",
        Kind::OtherDiscards => "discards",
        Kind::NoisyNeighbor => "a noisy neighbor",
        Kind::OwnLoad => "its own load",
        Kind::Overload => "an overloaded disk",
        Kind::DeviceHang => "a disk that does not answer",
        Kind::ArrayResync => "an array that resyncs",
        Kind::CgroupLimit => "a limit of a control group",
        Kind::Frozen => "a frozen filesystem",
        Kind::Suspended => "a suspended device",
        Kind::DirtyThrottling => "throttled writers",
        Kind::Memory => "memory pressure",
        Kind::Cpu => "too little CPU",
        Kind::NotVisible => "storage this host does not see",
        Kind::LockHolder => "a lock",
        Kind::SlowDevice => "a slow device",
        Kind::Flushes => "flushes",
        Kind::UpstreamStorage => "slow upstream storage",
        Kind::NoStall => "no stall",
        Kind::Inconclusive => "inconclusive",
    }
}
