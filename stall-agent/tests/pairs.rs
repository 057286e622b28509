//! Pairs of captures of staged incidents, compared without root: outcomes stay what they must be.
//!
//! Each pair was made by the scenario of that name on a real kernel (6.18, x86_64), whose outcome follows from what was
//! done between the two traces; names of the machine are taken out.

use std::fs::File;
use std::path::PathBuf;

use stall_agent::capture::Capture;
use stall_agent::comparison::model::{Comparison, Finding, ReasonKind};
use stall_agent::comparison::{OutcomeKind, compare, schema, text};

fn capture(name: &str) -> Capture {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures");
    let file = File::open(folder.join(format!("{name}.json"))).expect("each row has its capture");
    Capture::read(file).expect("it was written by a version of this format")
}

fn compared(before: &str, after: &str) -> Comparison {
    let found = compare(&capture(before), &capture(after));
    let schema = jsonschema::validator_for(&schema()).expect("the schema is one");
    let json = serde_json::to_value(&found).expect("a comparison is plain data");
    assert!(schema.is_valid(&json), "{before} {after}");
    let text = text(&found);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    found
}

#[test]
fn findings_are_what_was_done_in_between() {
    let cases = [
        ("proof_before", "proof_after_stop", Finding::LatencyFell),
        (
            "proof_before_nothing",
            "proof_trim_goes_on",
            Finding::CauseStillThere,
        ),
        (
            "proof_before_no_better",
            "proof_no_better",
            Finding::LatencyNotBetter,
        ),
    ];
    for (before, after, finding) in cases {
        let verdict = compared(before, after).verdict;
        assert_eq!(verdict.finding, Some(finding), "{}", verdict.sentence);
        let confirmed = verdict.kind == OutcomeKind::Confirmed;
        assert_eq!(confirmed, finding == Finding::LatencyFell, "{before}");
    }
}

#[test]
fn pairs_that_prove_nothing_say_why() {
    let cases = [
        ("proof_before", "proof_before", ReasonKind::WrongOrder),
        ("proof_after_stop", "proof_before", ReasonKind::WrongOrder),
        ("proof_after_stop", "proof_before", ReasonKind::NobodyNamed),
        ("trim", "proof_after_stop", ReasonKind::BootUnknown),
        ("trim", "proof_after_stop", ReasonKind::OtherDisk),
        (
            "trim_in_two_seconds",
            "proof_after_stop",
            ReasonKind::TooShort,
        ),
    ];
    for (before, after, reason) in cases {
        let verdict = compared(before, after).verdict;
        assert_eq!(verdict.kind, OutcomeKind::NotComparable, "{before} {after}");
        let found = verdict.reasons.iter().any(|one| one.kind == reason);
        assert!(found, "{before} {after}: {:?}", verdict.reasons);
    }
}

#[test]
fn the_stop_shows_in_every_measure() {
    let found = compared("proof_before", "proof_after_stop");
    let suspect = found.suspect.expect("the trim is suspected");
    assert_eq!(suspect.gone, Some(true));
    let disks = found.disks.iter();
    let disk = disks
        .into_iter()
        .find(|disk| disk.before_device.as_ref() == Some(&suspect.before_device));
    let others = &disk.expect("its disk is there").others;
    assert!(
        others.mean_ns.ratio.is_some_and(|ratio| ratio < 0.5),
        "{:?}",
        others.mean_ns
    );
    let in_d = found
        .parties
        .iter()
        .find(|party| party.label.starts_with("fstrim"));
    let in_d = in_d.expect("the trim is a party").blocked_ns_per_s;
    assert!(
        in_d.before > Some(1e8) && in_d.after == Some(0.0),
        "{in_d:?}"
    );
    for label in ["postgres", "kafka"] {
        let mut parties = found.parties.iter();
        let party = parties
            .find(|party| party.label.starts_with(label))
            .expect("it is a party");
        assert!(party.same_process && !party.suspect);
        let risk = party
            .waiting
            .slow
            .relative_risk
            .as_ref()
            .expect("it has both sides");
        assert!(risk.high < 0.5, "{label}: {risk:?}");
    }
}
