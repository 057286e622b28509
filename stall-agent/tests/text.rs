//! The report as text, for captures of real incidents, as it was when somebody last looked at it.
//!
//! After a change of the words: `UPDATE_GOLDEN=1 cargo test -p stall-agent --test text`, and read the difference.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use stall_agent::analysis::analyze;
use stall_agent::capture::Capture;
use stall_agent::report::model::AdviceWhen;
use stall_agent::report::{Paint, Report, sheet, summary, summary_within};
use unicode_width::UnicodeWidthStr as _;

/// One of each verdict, and some that are hard to tell well.
const CASES: [&str; 10] = [
    "trim_and_readers",
    "trim_stuck_in_one_discard",
    "heavy_writer_and_fast_trim",
    "two_neighbours",
    "slow_disk_and_trim",
    "mounted_with_discard",
    "guest_trim_delays_others",
    "flush_storm",
    "lock_holder",
    "busy_and_well",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

fn report(case: &str) -> Report {
    let path = fixtures().join("captures").join(format!("{case}.json"));
    let file = File::open(path).expect("each case has its capture");
    analyze(&Capture::read(file).expect("it was written by a version of this format"))
}

fn is_narrow(text: &str) -> bool {
    text.lines().all(|line| line.width() <= 80)
}

#[test]
fn texts_are_as_somebody_saw_them() {
    are_as_seen("text", |report| sheet(report, Paint::Plain));
}

#[test]
fn summaries_are_as_somebody_saw_them() {
    are_as_seen("summary", |report| {
        let text = summary(report, Some("/run/stall.json"));
        assert!(text.lines().count() <= 15, "{text}");
        text
    });
}

fn are_as_seen(folder: &str, write: impl Fn(&Report) -> String) {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for case in CASES {
        let text = write(&report(case));
        let path = fixtures().join(folder).join(format!("{case}.txt"));
        assert!(is_narrow(&text), "{case} is wider than a terminal:\n{text}");
        if update {
            fs::write(&path, &text).expect("the folder of texts can be written");
        } else if fs::read_to_string(&path).ok().as_deref() != Some(&text) {
            wrong.push(format!("{case} is now:\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Of every capture: what to type is whole, and a line is cut only where there is no room for another.
#[test]
fn nothing_is_cut_while_lines_are_free() {
    let mut seen = 0;
    for entry in fs::read_dir(fixtures().join("captures")).expect("there are captures") {
        let path = entry.expect("it can be listed").path();
        let case = path.file_stem().unwrap_or_default().to_string_lossy();
        if case == "expected" {
            continue;
        }
        let report = report(&case);
        for cells in [80, 100] {
            let text = summary_within(&report, Some("/run/stall.json"), cells);
            let is_full = text.lines().count() == 15;
            assert!(is_full || !text.contains("..."), "{text}");
            assert!(text.lines().all(|line| line.width() <= cells), "{text}");
            let has_more = text.contains("MORE       stall-agent report /run/stall.json");
            assert!(is_full || has_more, "{text}");
            let mut advice = report.verdict.advice.iter();
            let now = advice.find(|one| one.when == AdviceWhen::Now);
            if let Some(command) = now.and_then(|one| one.command.as_ref()) {
                let joined = text.replace(" \\\n", " ");
                let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
                assert!(
                    words(&joined).contains(&words(command)),
                    "{command}\n{text}"
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 4, "{seen}");
}

#[test]
fn a_report_read_back_gives_the_same_text() {
    for case in CASES {
        let report = report(case);
        let json = serde_json::to_vec(&report).expect("a report is JSON");
        let back: Report = serde_json::from_slice(&json).expect("what was written is read");
        assert_eq!(sheet(&back, Paint::Plain), sheet(&report, Paint::Plain));
    }
}

#[test]
fn colour_changes_nothing_but_colour() {
    let report = report("trim_and_readers");
    let painted = sheet(&report, Paint::Colour);
    assert!(painted.contains("\u{1b}["));
    let mut plain = String::new();
    let mut parts = painted.split('\u{1b}');
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or("", |(_, rest)| rest));
    }
    assert_eq!(plain, sheet(&report, Paint::Plain));
}

/// Escape codes, lines, marks that turn the direction of text, wide characters, and no end.
#[test]
fn a_hostile_name_cannot_steer_a_terminal() {
    let name = format!(
        "a\u{1b}[2J\nVERDICT\u{202e}\u{9b}31m\t\u{6c38}{}",
        "\u{7389}x".repeat(5_000)
    );
    let mut report = report("trim_and_readers");
    for actor in &mut report.actors {
        actor.label.clone_from(&name);
    }
    for task in &mut report.blocked {
        task.label.clone_from(&name);
    }
    let verdict = &mut report.verdict;
    verdict.sentence = format!("{name} did it");
    verdict.device = Some(name.clone());
    for culprit in &mut verdict.culprits {
        culprit.label.clone_from(&name);
        if let Some(process) = &mut culprit.process {
            process.command = Some(name.clone());
        }
    }
    for waiter in &mut verdict.waiters {
        waiter.label.clone_from(&name);
    }
    for row in report.blame.iter_mut().flat_map(|blame| &mut blame.victims) {
        row.label.clone_from(&name);
    }
    for device in &mut report.devices {
        device.id.clone_from(&name);
        device.model = Some(name.clone());
    }
    report.host.hostname = Some(name);
    let text = sheet(&report, Paint::Plain);
    assert!(is_narrow(&text));
    assert!(
        !text.contains(|c: char| c != '\n' && c.is_control()),
        "{text:?}"
    );
    assert!(!text.contains('\u{202e}'));
    assert!(text.lines().all(|line| !line.starts_with("VERDICT")));
}
