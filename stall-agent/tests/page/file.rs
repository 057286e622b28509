//! What is in the file.

use stall_agent::report::{Report, page};

use crate::pages::{CASES, all, hostile, report};

/// The tags of a page, as a parser that knows no browser's leniency sees them.
fn tags(html: &str) -> Vec<&str> {
    let starts = html.match_indices('<').map(|(at, _)| &html[at + 1..]);
    let names = starts.map(|rest| rest.split([' ', '>']).next().unwrap_or_default());
    names.filter(|name| !name.starts_with('/')).collect()
}

pub(crate) fn every_capture_makes_a_page() {
    let names = all();
    assert!(names.len() >= 20, "{names:?}");
    for name in names {
        let html = page(&report(&name));
        assert!(html.ends_with("</html>"), "{name}");
        assert!(html.len() < 400_000, "{name} has {} bytes", html.len());
        assert!(!html.contains("NaN") && !html.contains("inf%"), "{name}");
    }
}

/// No tag, attribute, script or style more than without the names, and nothing that turns the direction of text.
pub(crate) fn a_hostile_name_stays_a_name() {
    let html = page(&hostile());
    assert_eq!(html.matches("<script").count(), 1);
    assert_eq!(html.matches("<style").count(), 1);
    assert!(!html.contains("<img"));
    let plain = page(&report("trim_and_readers"));
    let known = tags(&plain);
    for tag in tags(&html) {
        assert!(known.contains(&tag), "a tag {tag:?}");
    }
    let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!html.contains(steers));
    assert!(
        html.contains("window.broken"),
        "the names are not in the page"
    );
}

pub(crate) fn nothing_is_asked_of_the_network() {
    for case in CASES {
        let html = page(&report(case));
        for way in [
            "src=", "@import", "<link", "<iframe", "<base", " style=", " onload", " onclick",
        ] {
            assert!(!html.contains(way), "{case} has {way}");
        }
        let addresses = html.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !addresses.contains("http:") && !addresses.contains("https:"),
            "{case}"
        );
        assert!(
            html.contains("default-src 'none'; style-src 'sha256-"),
            "{case}"
        );
    }
}

pub(crate) fn a_report_read_back_gives_the_same_page() {
    for case in CASES {
        let report = report(case);
        let json = serde_json::to_vec(&report).expect("a report is JSON");
        let back: Report = serde_json::from_slice(&json).expect("what was written is read");
        assert!(page(&back) == page(&report), "{case}");
    }
}
