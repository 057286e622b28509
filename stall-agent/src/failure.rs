//! Every way to fail: what is said, and the exit code.
//!
//! [`EXIT_CODES`] is the one table of codes; `--help` prints it.

use std::io;
use std::path::PathBuf;

use crate::file::reason;
use crate::kernel::support::SupportError;
use crate::probe::loader::LoadError;
use crate::problem::Problem;
use stall_analysis::comparison::OutcomeKind;
use stall_host::block_device::ResolveError;
use stall_report::model::Kind as Verdict;

/// Why there is no report. Each is shown as one sentence that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What is wrong with the command line; [`crate::mistyped::help`] says where to read on.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    NotPermitted(String),
    #[error(
        "the kernel gives no type information (/sys/kernel/btf/vmlinux): tracing needs a kernel built with CONFIG_DEBUG_INFO_BTF"
    )]
    NoBtf,
    #[error("the kernel's type information cannot be used ({0}): run stall-agent check")]
    BtfUnusable(String),
    #[error("{0}: use a kernel from 5.10 on, and run stall-agent check")]
    KernelUnfit(String),
    #[error(
        "this kernel does not have {hook}, without which nothing can be measured: run stall-agent check, and use a kernel from 5.10 on"
    )]
    HookMissing { hook: String },
    #[error(
        "the kernel is locked down ({level}), which forbids tracing: boot with lockdown=integrity or none"
    )]
    Lockdown { level: String },
    #[error(transparent)]
    Device(#[from] ResolveError),
    #[error("{} cannot be written ({reason}): give another --{option}", path.display())]
    OutputUnwritable {
        option: &'static str,
        path: PathBuf,
        reason: String,
    },
    #[error("{path} cannot be read: {problem}")]
    Input { path: String, problem: Problem },
    /// The document was made and could not be put where it belongs.
    #[error("{what} could not be written to {target} ({reason}): {outcome}")]
    OutputLost {
        what: &'static str,
        target: String,
        reason: String,
        outcome: String,
    },
    #[error(
        "the kernel refused the program {program} ({reason}): run again with -v, and report it with the kernel's version"
    )]
    LoadRefused { program: String, reason: String },
    /// The capture is complete, and judging it panicked.
    #[error(
        "internal error during analysis; as for the capture, {0}: please file a bug, and render the capture with another version"
    )]
    Unjudged(String),
    #[error("--live needs a terminal ({0}): drop --live, or use a terminal, for example ssh -t")]
    NoTerminal(String),
    /// Of `record`, that there is another recorder; of `cut`, that there is none.
    #[error("{0}")]
    Recorder(String),
    /// Something panicked that nothing is left of.
    #[error("internal error (see above): please file a bug, and try with other options")]
    Internal,
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// Of an error that is passed on.
    pub(crate) fn other(what: &str, error: &dyn std::fmt::Display) -> Self {
        Self::Other(format!("{what} ({error})"))
    }

    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Other(_) | Self::Internal => code::OTHER,
            Self::Unjudged(_) => code::UNJUDGED,
            Self::Usage(_) => code::USAGE,
            Self::NotPermitted(_) => code::NOT_PERMITTED,
            Self::NoBtf | Self::BtfUnusable(_) => code::NO_BTF,
            Self::HookMissing { .. } | Self::KernelUnfit(_) => code::HOOK_MISSING,
            Self::Lockdown { .. } => code::LOCKDOWN,
            Self::Device(_) => code::UNKNOWN_DEVICE,
            Self::OutputUnwritable { .. } => code::OUTPUT_UNWRITABLE,
            Self::Input { .. } => code::BAD_INPUT,
            Self::OutputLost { .. } => code::OUTPUT_LOST,
            Self::LoadRefused { .. } => code::LOAD_REFUSED,
            Self::NoTerminal(_) => code::NO_TERMINAL,
            Self::Recorder(_) => code::RECORDER,
        }
    }
}

impl From<SupportError> for Failure {
    fn from(error: SupportError) -> Self {
        match error {
            SupportError::NoBtf { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Self::NoBtf
            }
            SupportError::NoBtf { source, .. } => Self::BtfUnusable(reason(&source)),
            SupportError::Btf(error) => Self::BtfUnusable(error.to_string()),
            SupportError::Layout(error) => Self::KernelUnfit(error.to_string()),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Program { program, reason } => Self::LoadRefused { program, reason },
            LoadError::Btf(error) => Self::BtfUnusable(error.to_string()),
            LoadError::Object(error) => Self::LoadRefused {
                program: "object".to_owned(),
                reason: error.to_string(),
            },
        }
    }
}

/// What `--exit-code` makes of a verdict.
#[must_use]
pub const fn verdict_code(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::NoStall => code::OK,
        Verdict::HostTrim
        | Verdict::GuestTrim
        | Verdict::OtherDiscards
        | Verdict::NoisyNeighbor
        | Verdict::Flushes
        | Verdict::LockHolder
        | Verdict::OwnLoad
        | Verdict::Overload
        | Verdict::ArrayResync
        | Verdict::CgroupLimit
        | Verdict::Frozen
        | Verdict::Suspended
        | Verdict::DirtyThrottling
        | Verdict::Memory
        | Verdict::Cpu => code::CAUSE_FOUND,
        Verdict::SlowDevice | Verdict::DeviceHang | Verdict::UpstreamStorage => code::NO_CAUSE,
        Verdict::NotVisible | Verdict::Inconclusive => code::INCONCLUSIVE,
    }
}

/// What `--exit-code` makes of a comparison.
#[must_use]
pub const fn outcome_code(outcome: OutcomeKind) -> u8 {
    match outcome {
        OutcomeKind::Confirmed => code::OK,
        OutcomeKind::NotConfirmed => code::NOT_CONFIRMED,
        OutcomeKind::NotComparable => code::INCONCLUSIVE,
    }
}

/// The codes by name.
pub mod code {
    pub const OK: u8 = 0;
    pub const OTHER: u8 = 1;
    pub const USAGE: u8 = 2;
    pub const NOT_PERMITTED: u8 = 3;
    pub const NO_BTF: u8 = 4;
    pub const HOOK_MISSING: u8 = 5;
    pub const LOCKDOWN: u8 = 6;
    pub const UNKNOWN_DEVICE: u8 = 7;
    pub const OUTPUT_UNWRITABLE: u8 = 8;
    pub const BAD_INPUT: u8 = 9;
    pub const CAUSE_FOUND: u8 = 10;
    pub const NO_CAUSE: u8 = 11;
    pub const INCONCLUSIVE: u8 = 12;
    pub const NOT_CONFIRMED: u8 = 13;
    pub const OUTPUT_LOST: u8 = 20;
    pub const LOAD_REFUSED: u8 = 21;
    pub const UNJUDGED: u8 = 22;
    pub const NO_TERMINAL: u8 = 23;
    pub const RECORDER: u8 = 24;
}

/// All codes, each with what it means.
pub const EXIT_CODES: &[(u8, &str)] = &[
    (
        code::OK,
        "done; with --exit-code: no stall, or the cause is confirmed",
    ),
    (code::OTHER, "other error (see message)"),
    (code::USAGE, "invalid arguments"),
    (
        code::NOT_PERMITTED,
        "not permitted: neither root nor the capabilities needed, or set-uid",
    ),
    (
        code::NO_BTF,
        "the kernel has no BTF, or BTF that cannot be used",
    ),
    (
        code::HOOK_MISSING,
        "the kernel lacks a required hook or field",
    ),
    (code::LOCKDOWN, "the kernel is locked down"),
    (code::UNKNOWN_DEVICE, "no such --device"),
    (
        code::OUTPUT_UNWRITABLE,
        "cannot write the output; found before the trace",
    ),
    (
        code::BAD_INPUT,
        "cannot read an input file: no report or capture, another version, or damaged",
    ),
    (code::CAUSE_FOUND, "with --exit-code: stall, cause found"),
    (code::NO_CAUSE, "with --exit-code: stall, nobody to blame"),
    (
        code::INCONCLUSIVE,
        "with --exit-code: inconclusive, or runs that cannot be compared",
    ),
    (
        code::NOT_CONFIRMED,
        "with --exit-code: compared, cause not confirmed",
    ),
    (
        code::OUTPUT_LOST,
        "the result could not be written where asked; see the message for where it was saved",
    ),
    (code::LOAD_REFUSED, "the kernel refused a BPF program"),
    (
        code::UNJUDGED,
        "internal error during analysis; the capture was saved (see message)",
    ),
    (
        code::NO_TERMINAL,
        "--live without a terminal; found before the trace",
    ),
    (
        code::RECORDER,
        "record: another recorder uses the directory; cut: none does",
    ),
];

/// The table as text, one code a line.
#[must_use]
pub fn table() -> String {
    let rows = EXIT_CODES.iter();
    rows.map(|(code, meaning)| format!("  {code:>2}  {meaning}\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_documented_once() {
        let mut codes: Vec<_> = EXIT_CODES.iter().map(|(code, _)| *code).collect();
        assert!(codes.is_sorted());
        codes.dedup();
        assert_eq!(codes.len(), EXIT_CODES.len());
        assert_eq!(table().lines().count(), codes.len());
    }

    #[test]
    fn a_failure_is_one_sentence() {
        let failures = [
            Failure::NoBtf,
            Failure::HookMissing {
                hook: "block_rq_issue".to_owned(),
            },
            Failure::Lockdown {
                level: "confidentiality".to_owned(),
            },
            Failure::Usage("--interval is longer than --duration".to_owned()),
        ];
        for failure in failures {
            let sentence = failure.to_string();
            assert_eq!(sentence.lines().count(), 1);
            assert!(
                EXIT_CODES
                    .iter()
                    .any(|(code, _)| *code == failure.exit_code())
            );
        }
    }

    #[test]
    fn a_verdict_has_a_code_of_its_own_kind() {
        assert_eq!(verdict_code(Verdict::NoStall), 0);
        assert_eq!(verdict_code(Verdict::HostTrim), 10);
        assert_eq!(verdict_code(Verdict::SlowDevice), 11);
        assert_eq!(verdict_code(Verdict::Inconclusive), 12);
        assert_eq!(outcome_code(OutcomeKind::Confirmed), 0);
        assert_eq!(outcome_code(OutcomeKind::NotComparable), 12);
        assert_eq!(outcome_code(OutcomeKind::NotConfirmed), 13);
    }
}
