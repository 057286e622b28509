//! The manual page as groff renders it, and `explain` as it is typed.
//!
//! What needs groff is skipped, with the reason, where it is missing.

use std::io::Write as _;
use std::process::{Command, ExitCode, Output, Stdio};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

fn main() -> ExitCode {
    let trials = vec![
        Trial::ignorable_test(
            "the_page_is_rendered_without_a_warning",
            the_page_is_rendered_without_a_warning,
        ),
        Trial::test("explain_takes_words_as_they_are_typed", || {
            explain_takes_words_as_they_are_typed();
            Ok(())
        }),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn agent(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stall-agent"));
    command.args(arguments).output().expect("the program runs")
}

/// `None` where groff is not installed.
fn rendered(page: &[u8]) -> Option<Output> {
    let mut groff = Command::new("groff")
        .args(["-man", "-Tutf8", "-ww", "-rLL=80n", "-P-cbou"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let mut input = groff.stdin.take().expect("it was asked for");
    input.write_all(page).expect("groff reads it");
    drop(input);
    Some(groff.wait_with_output().expect("it ends"))
}

fn the_page_is_rendered_without_a_warning() -> Result<Completion, Failed> {
    let page = agent(&["man"]);
    assert!(page.status.success() && page.stderr.is_empty());
    let Some(made) = rendered(&page.stdout) else {
        return Ok(Completion::ignored_with(
            "groff is not installed (package groff-base)",
        ));
    };
    let warnings = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success() && warnings.is_empty(), "{warnings}");
    let text = String::from_utf8_lossy(&made.stdout);
    for part in ["SYNOPSIS", "EXIT STATUS", "ENVIRONMENT", "trace", "explain"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let wrong = rendered(b".TH a 8\n.nosuchrequest\n").expect("groff was here just now");
    assert!(
        !wrong.stderr.is_empty(),
        "groff warns of what it does not know"
    );
    Ok(Completion::Completed)
}

fn explain_takes_words_as_they_are_typed() {
    let command = agent(&["explain", "wait", "ratio"]);
    assert!(command.status.success());
    assert!(String::from_utf8_lossy(&command.stdout).contains("overlap"));
    let unknown = agent(&["explain", "no_such_field"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&unknown.stderr).lines().count(), 1);
    assert!(unknown.stdout.is_empty());
}
