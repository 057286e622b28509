//! From what was observed to what the user gets: the capture first, since it cannot be had again, then the judgement.
//!
//! A panic while judging or writing costs the report, and not what was observed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::failure::Failure;
use crate::output::{self, Output};
use crate::progress::{sanitize, say};
use stall_capture::Capture;

/// Saves the capture where it was asked for, then has it judged. When that panics, the capture is kept in any case.
///
/// # Errors
///
/// Those of `judge` and of the writing, and [`Failure::Unjudged`].
pub fn deliver(
    capture: &Capture,
    saved: Option<&Output>,
    judge: impl FnOnce(&Capture) -> Result<u8, Failure>,
) -> Result<u8, Failure> {
    let document = output::json(capture, false);
    let written = saved.map_or(Ok(()), |output| output.write(&document));
    if let Ok(code) = catch_unwind(AssertUnwindSafe(|| judge(capture))) {
        return both(written, code);
    }
    let file = saved.and_then(Output::file);
    Err(Failure::Unjudged(match (written, file) {
        (Ok(()), Some(path)) => format!("it is saved in {}", path.display()),
        (Ok(()), None) => match output::keep(&document) {
            Some(path) => format!("it is kept in {}", path.display()),
            None => "it could be kept nowhere".to_owned(),
        },
        (Err(lost), _) => lost.to_string(),
    }))
}

/// Of two failures each may say where something is kept.
fn both(written: Result<(), Failure>, judged: Result<u8, Failure>) -> Result<u8, Failure> {
    if let (Err(_), Err(failure)) = (&written, &judged) {
        say(&format!("stall-agent: {}", sanitize(&failure.to_string())));
    }
    written.and(judged)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;
    use crate::output::{Destination, Kind};
    use stall_capture::{FORMAT, Host, Overhead, Settings, VERSION, Window};

    const CAPTURE: Kind = Kind {
        what: "the capture",
        option: "capture",
        keep: true,
    };

    /// One in which nothing happened.
    fn capture() -> Capture {
        let rows = "hooks disks actors uses series discards slow_requests discard_requests unfinished_requests \
                    tasks blocked long_sleeps unfinished_sleeps stacks intervals loss";
        let mut capture = serde_json::json!({
            "format": FORMAT,
            "version": VERSION,
            "agent_version": "test",
            "host": Host::default(),
            "settings": Settings::default(),
            "window": Window::default(),
            "overhead": Overhead::default(),
        });
        for name in rows.split_whitespace() {
            capture[name] = serde_json::json!([]);
        }
        serde_json::from_value(capture).unwrap()
    }

    fn output(path: std::path::PathBuf) -> Output {
        Output::prepare(Destination::File(path), CAPTURE).unwrap()
    }

    #[test]
    fn a_panic_while_judging_leaves_the_capture_where_it_was_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("capture");
        let failure = deliver(&capture(), Some(&output(path.clone())), |_| {
            panic!("a test")
        });
        let failure = failure.unwrap_err();
        assert_eq!(failure.exit_code(), crate::failure::code::UNJUDGED);
        let said = failure.to_string();
        assert!(said.contains(path.to_str().unwrap()), "{said}");
        Capture::read(File::open(path).unwrap()).unwrap();
    }

    #[test]
    fn a_panic_while_judging_keeps_a_capture_that_nobody_asked_for() {
        let said = deliver(&capture(), None, |_| panic!("a test"))
            .unwrap_err()
            .to_string();
        let (_, kept) = said.split_once("it is kept in ").unwrap();
        let path = kept.split([':', ' ']).next().unwrap();
        let read = File::open(path).map(Capture::read);
        fs::remove_file(path).unwrap();
        read.unwrap().unwrap();
    }

    #[test]
    fn without_a_panic_both_are_told() {
        assert_eq!(deliver(&capture(), None, |_| Ok(7)).unwrap(), 7);
        let refused = |_: &Capture| Err(Failure::Usage("no".to_owned()));
        assert!(matches!(
            deliver(&capture(), None, refused),
            Err(Failure::Usage(_))
        ));
    }
}
