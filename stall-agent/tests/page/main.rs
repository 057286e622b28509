//! The page of a report: as a file (what is in it, how large it is, what hostile names do to it), and in a real browser.
//!
//! What needs the browser is skipped, with the reason, where Chromium is missing.

mod browser;
mod figures;
mod file;
mod hour;
mod looks;
mod pages;
mod pictures;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// A test of the file itself.
type FileTest = fn();
/// A test in the browser.
type BrowserTest = fn() -> Result<(), String>;

const FILE: &[(&str, FileTest)] = &[
    (
        "every_capture_makes_a_page",
        file::every_capture_makes_a_page,
    ),
    (
        "a_hostile_name_stays_a_name",
        file::a_hostile_name_stays_a_name,
    ),
    (
        "nothing_is_asked_of_the_network",
        file::nothing_is_asked_of_the_network,
    ),
    (
        "a_report_read_back_gives_the_same_page",
        file::a_report_read_back_gives_the_same_page,
    ),
    (
        "an_hour_is_below_two_megabytes",
        hour::is_below_two_megabytes,
    ),
];

const BROWSER: &[(&str, BrowserTest)] = &[
    ("figures_are_the_reports", figures::are_the_reports),
    ("pictures_are_the_reports", pictures::are_the_reports),
    (
        "a_pointer_and_keys_show_what_is_there",
        pictures::say_what_is_there,
    ),
    (
        "hostile_names_run_nothing",
        figures::hostile_names_run_nothing,
    ),
    ("both_themes_can_be_read", looks::both_themes_can_be_read),
    ("a_phone_is_wide_enough", looks::a_phone_is_wide_enough),
    ("an_hour_is_fluent", hour::is_fluent),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // A browser has several processes.
    arguments.test_threads.get_or_insert(2);
    let file = FILE.iter().map(|(name, test)| {
        let test = *test;
        Trial::test(*name, move || {
            test();
            Ok(())
        })
    });
    let browser = BROWSER.iter().map(|(name, test)| {
        let test = *test;
        Trial::ignorable_test(format!("browser::{name}"), move || in_browser(test))
    });
    libtest_mimic::run(&arguments, file.chain(browser).collect()).exit_code()
}

fn in_browser(test: BrowserTest) -> Result<Completion, Failed> {
    if let Some(reason) = browser::lacking() {
        return Ok(Completion::ignored_with(reason));
    }
    test()?;
    Ok(Completion::Completed)
}
