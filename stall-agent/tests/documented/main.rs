//! The pages of the documentation define every field and value of the JSON documents, and nothing else; the commands they
//! show work.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

mod commands;
mod sections;

use sections::{Sections, defined, documented, missing, optional};
use serde_json::Value;
use stall_agent::collect::loss;
use stall_agent::{comparison, explain, report};

const REPORT: &str = include_str!("../../../docs/report.md");
const COMPARISON: &str = include_str!("../../../docs/comparison.md");

#[test]
fn every_field_and_value_of_the_report_is_defined() {
    let defined = defined(&report::schema(), "Report");
    for (name, members) in &defined {
        assert!(
            !members.is_empty(),
            "{name} is of a kind this test does not know"
        );
    }
    let missing = missing(&documented(REPORT), &defined);
    assert!(missing.is_empty(), "docs/report.md lacks {missing:?}");
}

#[test]
fn the_page_on_the_report_defines_nothing_that_is_not_there() {
    let mut page = documented(REPORT);
    let causes = page.remove("LossCause");
    assert!(causes.is_some(), "they are a test of their own");
    let gone = missing(&defined(&report::schema(), "Report"), &page);
    assert!(
        gone.is_empty(),
        "docs/report.md has {gone:?}, which the report has not"
    );
}

/// In the report it is a text: a capture of another version may have causes of its own.
#[test]
fn every_cause_of_a_loss_is_defined_and_no_other() {
    let causes = loss::rows(&loss::Kernels::new(), &loss::Own::default());
    let causes: Vec<String> = causes.into_iter().map(|loss| loss.cause).collect();
    assert_eq!(documented(REPORT)["LossCause"], causes);
}

/// Types that the report has too are defined with it.
#[test]
fn every_field_and_value_of_the_comparison_is_defined() {
    let mut pages = documented(REPORT);
    pages.extend(documented(COMPARISON));
    let missing = missing(&pages, &defined(&comparison::schema(), "Comparison"));
    assert!(missing.is_empty(), "docs/comparison.md lacks {missing:?}");
}

#[test]
fn the_page_on_the_comparison_defines_nothing_that_is_not_there() {
    let page: Sections = documented(COMPARISON);
    let gone = missing(&defined(&comparison::schema(), "Comparison"), &page);
    assert!(
        gone.is_empty(),
        "docs/comparison.md has {gone:?}, which the comparison has not"
    );
}

#[test]
fn every_field_is_always_there() {
    assert!(optional(&report::schema()).is_empty());
    assert!(optional(&comparison::schema()).is_empty());
}

#[test]
fn every_field_and_value_is_explained() {
    every_name(&report::schema(), "Report");
    every_name(&comparison::schema(), "Comparison");
}

fn every_name(schema: &Value, root: &str) {
    let mut count = 0;
    for (section, names) in defined(schema, root) {
        for name in names {
            for term in [name.clone(), format!("{section}.{name}")] {
                let text = explained(&term);
                assert!(text.lines().count() >= 3, "{text}");
            }
            count += 1;
        }
        explained(&section);
    }
    assert!(count > 50, "{count}");
}

/// Whoever reads a word in capitals can ask for it.
#[test]
fn every_heading_of_a_text_is_explained() {
    let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    let mut headings = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(fixtures.join("text")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.with_extension("json");
        let capture =
            std::fs::File::open(fixtures.join("captures").join(name.file_name().unwrap()));
        let capture = stall_agent::capture::Capture::read(capture.unwrap()).unwrap();
        let summary = report::summary(
            &stall_agent::analysis::analyze(&capture),
            Some("stall.json"),
        );
        let text = std::fs::read_to_string(path).unwrap();
        headings.extend(text.lines().chain(summary.lines()).filter_map(heading));
    }
    assert!(headings.len() > 8, "{headings:?}");
    for heading in headings {
        explained(&heading);
    }
}

/// The words in capitals that a line begins with.
fn heading(line: &str) -> Option<String> {
    let is_capital = |word: &&str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
    let words = line.split([' ', ':']).take_while(is_capital);
    let heading = words.collect::<Vec<_>>().join(" ");
    (!heading.is_empty()).then_some(heading)
}

fn explained(term: &str) -> String {
    let text = explain::explain(term).unwrap_or_else(|problem| panic!("{problem}"));
    let fits = text.lines().all(|line| line.chars().count() <= 80);
    assert!(fits, "{text}");
    text
}
