//! Hypotheses held against each other: two disks, two layers, and what one window cannot tell.

use super::*;
use crate::names::Names;
use crate::verdict::stalls::Stalls;
use crate::verdict::{Ruling, between, not_weighed, words};
use crate::{Findings, findings};
use stall_report::model::{Culprit, Hypothesis};

/// A trim on one disk, for which others waited half a minute, and a few slow reads on another.
fn two_disks() -> Findings {
    let capture = host_trim("fstrim")
        .flow(VM, 1, Op::Read, Part(0, 0, 0), Part(1_000, 30, 12 * MS))
        .capture();
    findings(&capture, &Names::new(&capture))
}

fn supported(kind: Kind, device: &str, confidence: Confidence, rule: &str) -> Hypothesis {
    Hypothesis {
        device: Some(device.to_owned()),
        standing: Standing::Supported,
        confidence: Some(confidence),
        rule: Some(rule.to_owned()),
        ..not_weighed(kind)
    }
}

fn trim(confidence: Confidence) -> Hypothesis {
    Hypothesis {
        origin: Some(Origin::FilesystemTrim),
        score: Some(0.9),
        ..supported(Kind::HostTrim, "nvme0n1", confidence, "D4")
    }
}

fn settled(findings: &Findings, mut weighed: Vec<Hypothesis>) -> Vec<Hypothesis> {
    between::settle(findings, &Stalls::new(findings), &mut weighed);
    weighed
}

#[test]
fn of_two_slow_disks_the_one_most_was_waited_for_comes_first() {
    let slow = Hypothesis {
        score: Some(1.0),
        ..supported(Kind::SlowDevice, "sda", Confidence::High, "T1")
    };
    let hangs = Hypothesis {
        score: None,
        ..trim(Confidence::High)
    };
    let all = settled(&two_disks(), vec![slow.clone(), hangs]);
    assert_eq!(all[0].kind, Kind::HostTrim);
    // Less sure, less first.
    let all = settled(&two_disks(), vec![slow, trim(Confidence::Medium)]);
    assert_eq!(all[0].kind, Kind::SlowDevice);
}

#[test]
fn what_a_comparison_and_the_table_say_differently_is_sure_of_neither() {
    let itself = |confidence| Hypothesis {
        score: Some(0.97),
        ..supported(Kind::SlowDevice, "nvme0n1", confidence, "T1")
    };
    let all = settled(
        &two_disks(),
        vec![trim(Confidence::Medium), itself(Confidence::High)],
    );
    let of = |kind| {
        let one = all.iter().find(|one| one.kind == kind).unwrap();
        (one.confidence, one.rule.as_deref())
    };
    assert_eq!(of(Kind::SlowDevice), (Some(Confidence::Medium), Some("T4")));
    assert_eq!(of(Kind::HostTrim), (Some(Confidence::Low), Some("D4")));
    assert_eq!(all[0].kind, Kind::SlowDevice);
    // A comparison that nothing lowered stands, and so does a table that is not sure.
    for (discards, device) in [
        (Confidence::High, Confidence::High),
        (Confidence::Low, Confidence::Medium),
    ] {
        let all = settled(&two_disks(), vec![trim(discards), itself(device)]);
        let confidence = |kind| all.iter().find(|one| one.kind == kind).unwrap().confidence;
        assert_eq!(confidence(Kind::HostTrim), Some(discards));
        assert_eq!(confidence(Kind::SlowDevice), Some(device));
    }
}

#[test]
fn what_a_trim_does_to_a_disk_is_not_laid_on_what_lies_on_it() {
    let flushes = supported(Kind::Flushes, "sda", Confidence::High, "F1");
    let standing = |findings: &Findings, below: Hypothesis| {
        let all = settled(findings, vec![flushes.clone(), below]);
        let above = all.iter().find(|one| one.kind == Kind::Flushes).unwrap();
        (above.standing, above.rule.clone().unwrap())
    };
    let apart = two_disks();
    let mut stacked = two_disks();
    let above = stacked.devices.iter_mut().find(|device| device.id == "sda");
    above.unwrap().physical = vec!["nvme0n1".to_owned()];
    let kept = (Standing::Supported, "F1".to_owned());
    assert_eq!(standing(&apart, trim(Confidence::High)), kept);
    assert_eq!(standing(&stacked, trim(Confidence::Medium)), kept);
    assert_eq!(
        standing(&stacked, trim(Confidence::High)),
        (Standing::Undecided, "T3".to_owned())
    );
}

#[test]
fn a_lock_that_a_trim_holds_does_not_acquit_it() {
    let holder = supported(Kind::LockHolder, "nvme0n1", Confidence::High, "L3");
    let refuted = Hypothesis {
        standing: Standing::Refuted,
        ..trim(Confidence::High)
    };
    let ruling = Ruling {
        kind: Kind::LockHolder,
        confidence: Some(Confidence::High),
        stalled: Some(true),
        cause: Some(&holder),
        lowered: Vec::new(),
    };
    let said = |culprits: &[Culprit]| {
        words::acquittal(&ruling, culprits, std::slice::from_ref(&refuted)).is_empty()
    };
    let of_trim = report(host_trim("fstrim")).verdict.culprits;
    assert!(!said(&[]) && said(&of_trim));
}
