//! The report as text for a terminal: who did it on the first lines, then why, then everything else a person may ask.
//!
//! Contract: at most as many display cells a line as asked for; colour only where it is asked for, and never the only way something is said;
//! foreign names are escaped; the same report gives the same text.

mod devices;
mod evidence;
mod paper;
mod rest;
mod todo;
mod users;
mod waiting;

use super::Report;
use super::summary::{NARROWEST, WIDEST, headline};
use paper::{Paper, Style};

pub use paper::Paint;

/// The whole text, in lines of 80 cells.
#[must_use]
pub fn sheet(report: &Report, paint: Paint) -> String {
    sheet_within(report, paint, NARROWEST)
}

/// The whole text, for a terminal of so many cells: no line is shorter than of 80, and none longer than is read with ease.
#[must_use]
pub fn sheet_within(report: &Report, paint: Paint, cells: usize) -> String {
    let mut paper = Paper::new(paint, cells.clamp(NARROWEST, WIDEST));
    head(&mut paper, report);
    evidence::write(&mut paper, report);
    waiting::who(&mut paper, report);
    waiting::table(&mut paper, report);
    waiting::chains(&mut paper, report);
    users::write(&mut paper, report);
    rest::vms(&mut paper, report);
    devices::write(&mut paper, report);
    rest::discards(&mut paper, report);
    waiting::blocked(&mut paper, report);
    rest::lost(&mut paper, report);
    todo::write(&mut paper, report);
    paper.text()
}

fn head(paper: &mut Paper, report: &Report) {
    let style = match report.verdict.stalled {
        Some(true) => Style::Bad,
        Some(false) => Style::Good,
        None => Style::Doubt,
    };
    paper.line(&headline(report), style);
    paper.text_at(0, &report.verdict.sentence);
    let host = report
        .host
        .hostname
        .as_deref()
        .unwrap_or("a host without a name");
    let kernel = &report.host.kernel_release;
    paper.text_at(
        0,
        &format!("On {host}, kernel {kernel}, from {}.", report.window.start),
    );
    for lowered in &report.verdict.lowered {
        paper.text_at(0, &format!("Less sure because {}.", lowered.text));
    }
}
