//! Frames of kept captures on terminals of many sizes, and of what is meant to break out of them.

use std::fs::File;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Cell;
use ratatui::style::Color;

use super::*;
use stall_analysis::analyze;
use stall_capture::Capture;
use stall_report::Report;

const HOSTILE: &str = "a\u{1b}[2J\nSO FAR: no stall\u{202e}\u{9b}31m\t\u{200b}\u{6c38}\u{301}\u{301}\u{301}\u{e0041}z";
const CASES: [&str; 6] = [
    "trim_and_readers",
    "trim_stuck_in_one_discard",
    "two_neighbours",
    "lock_holder",
    "flush_storm",
    "busy_and_well",
];
const SIZES: [(u16, u16); 9] = [
    (80, 24),
    (132, 50),
    (400, 200),
    (60, 16),
    (40, 10),
    (20, 5),
    (7, 3),
    (1, 1),
    (300, 1),
];

fn report(case: &str) -> Report {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/captures");
    let file = File::open(format!("{folder}/{case}.json")).unwrap();
    analyze(&Capture::read(file).unwrap())
}

fn model(case: &str) -> Model {
    Model::new(&report(case))
}

fn scene(model: Option<&Model>) -> Scene<'_> {
    Scene {
        title: "all disks, every 1 s",
        told: Told {
            elapsed: Duration::from_secs(18),
            left: Some(Duration::from_secs(42)),
        },
        model,
        is_left: false,
        paint: Paint::Colour,
    }
}

fn drawn(scene: &Scene<'_>, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, scene)).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> Vec<String> {
    let width = usize::from(buffer.area.width);
    let rows = buffer.content.chunks(width.max(1));
    let line = |row: &[Cell]| row.iter().map(Cell::symbol).collect();
    rows.map(line).collect()
}

fn text(scene: &Scene<'_>, size: (u16, u16)) -> String {
    lines(&drawn(scene, size)).join("\n")
}

#[test]
fn says_who_did_it_where_and_who_waits() {
    let model = model("trim_and_readers");
    let text = text(&scene(Some(&model)), (80, 24));
    for part in [
        "0:42 left of 1:00",
        "SO FAR: a filesystem trim on this host, confidence high",
        "DISK",
        "longest",
        "loop0",
        "DISCARDS",
        "fstrim",
        "filesystem trim",
        "IN D NOW",
        "lost: 2 missed",
        "q ends it and writes the report",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn every_size_shows_something_and_nothing_breaks() {
    for case in CASES {
        let model = model(case);
        for size in SIZES {
            let buffer = drawn(&scene(Some(&model)), size);
            assert!(!lines(&buffer)[0].trim().is_empty(), "{case} {size:?}");
        }
    }
}

#[test]
fn a_small_terminal_still_has_the_verdict_and_the_disk() {
    let model = model("trim_stuck_in_one_discard");
    let text = text(&scene(Some(&model)), (40, 10));
    for part in ["SO FAR: a filesystem trim", "DISK", "loop0", "q ends it"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn hostile_names_stay_in_their_cells() {
    let mut report = report("trim_and_readers");
    let long = HOSTILE.repeat(300);
    report.host.hostname = Some(long.clone());
    report.verdict.sentence = format!("{long} did it");
    for actor in &mut report.actors {
        actor.label.clone_from(&long);
    }
    for task in &mut report.blocked {
        task.label.clone_from(&long);
        HOSTILE.clone_into(&mut task.comm);
    }
    for device in &mut report.devices {
        HOSTILE.clone_into(&mut device.id);
    }
    for group in &mut report.discards {
        HOSTILE.clone_into(&mut group.device);
    }
    let model = Model::new(&report);
    for size in SIZES {
        let buffer = drawn(&scene(Some(&model)), size);
        for cell in &buffer.content {
            let symbol = cell.symbol();
            assert!(symbol.chars().count() <= 8, "{symbol:?}");
            let steers = |c: char| c.is_control() || ('\u{200b}'..='\u{202e}').contains(&c);
            assert!(!symbol.contains(steers), "{symbol:?}");
        }
        let forged = lines(&buffer)
            .iter()
            .filter(|line| line.starts_with("SO FAR"))
            .count();
        assert!(forged <= 1, "{size:?}");
    }
}

#[test]
fn before_anything_is_known_it_says_so() {
    let mut scene = scene(None);
    assert!(text(&scene, (80, 24)).contains("after the first interval"));
    scene.told.left = None;
    assert!(text(&scene, (80, 24)).contains("for 0:18"));
    scene.is_left = true;
    assert!(text(&scene, (80, 24)).contains("writing the report"));
}

#[test]
fn an_idle_host_is_told_in_words() {
    let mut report = report("busy_and_well");
    report.devices.clear();
    report.discards.clear();
    report.blocked.clear();
    let text = text(&scene(Some(&Model::new(&report))), (80, 24));
    for part in ["No disk has been used", "No discards", "No task is or was"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn an_error_in_analysis_is_shown() {
    let text = text(&scene(Some(&Model::failed())), (80, 24));
    assert!(text.contains("Internal error during analysis"), "{text}");
}

#[test]
fn without_colour_all_words_are_there() {
    let model = model("trim_and_readers");
    let mut scene = scene(Some(&model));
    let colours = |buffer: &Buffer| {
        let mut cells = buffer.content.iter();
        cells.any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    let painted = drawn(&scene, (80, 24));
    scene.paint = Paint::Plain;
    let plain = drawn(&scene, (80, 24));
    assert!(colours(&painted) && !colours(&plain));
    assert_eq!(lines(&painted), lines(&plain));
}

#[test]
fn room_is_shared_and_none_is_lost() {
    assert_eq!(shares(18, [4, 3, 40]), ([4, 3, 9], 1));
    assert_eq!(shares(14, [40, 40, 40]), ([5, 5, 4], 0));
    assert_eq!(shares(5, [4, 1, 9]), ([2, 1, 2], 0));
    assert_eq!(shares(1, [4, 3, 9]), ([0, 0, 0], 0));
    assert_eq!(shares(0, [1, 1, 1]), ([0, 0, 0], 0));
    assert_eq!(shares(100, [1, 1, 1]), ([1, 1, 1], 1));
}
