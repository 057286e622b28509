//! A file that somebody gives the program, read for what it is: a report or a capture, of any version, as it was written or as
//! it came through other programs (indented, sorted, compressed with gzip, in UTF-16); or something else, which is an error.

use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::path::Path;
use std::sync::LazyLock;

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use crate::capture::fit::{self, Differences, Misfit};
use crate::capture::{self, Capture, ReadError};
use crate::failure::Failure;
use crate::file::reason;
pub use crate::problem::Problem;
use crate::report::model::SCHEMA;
use crate::report::{Report, escape};

const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Other ways to compress, by how their files begin.
const COMPRESSED: [(&[u8], &str); 4] = [
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
];
/// Of what is unpacked: a small file can be made to be any size.
const UNPACKED_MOST: u64 = 1 << 30;
/// The first version of the report.
const OLDEST_REPORT: u64 = 1;
/// Of what a foreign file begins with, in a message.
const BEGINNING: usize = 30;

/// What a file can be.
#[derive(Debug)]
pub enum Document {
    Report(Box<Report>),
    Capture(Box<Capture>),
}

/// A file that was read.
#[derive(Debug)]
pub struct Input {
    pub document: Document,
    /// What was made to fit this version.
    pub differences: Differences,
    /// Version of the program that made it, as far as it says.
    pub made_by: Option<String>,
}

/// Reads a file; `-` is stdin.
///
/// # Errors
///
/// [`Failure::Input`].
pub fn read(path: &Path) -> Result<Input, Failure> {
    let mut bytes = Vec::new();
    let read = if is_stdin(path) {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    let read = read.map_err(Problem::from);
    let input = read.and_then(|_| understand(bytes));
    input.map_err(|problem| failure(path, problem))
}

/// Reads a file that is a capture, or a report that carries one.
///
/// # Errors
///
/// [`Failure::Input`].
pub fn read_capture(path: &Path) -> Result<Capture, Failure> {
    let packed = match read(path)?.document {
        Document::Capture(capture) => return Ok(*capture),
        Document::Report(report) => report.capture.ok_or(Problem::NoCapture),
    };
    let capture = packed.and_then(|packed| {
        packed.capture().map_err(|error| match error {
            ReadError::Version(found) => Problem::Version {
                what: "a report with a capture",
                found,
                reads: capture_versions(),
                made_by: None,
            },
            ReadError::Foreign | ReadError::Damaged(_) | ReadError::Io(_) => Problem::Damaged {
                what: "a report",
                at: format!(" in the capture that it carries ({error})"),
            },
        })
    });
    capture.map_err(|problem| failure(path, problem))
}

#[must_use]
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn failure(path: &Path, problem: Problem) -> Failure {
    let path = if is_stdin(path) {
        "stdin".to_owned()
    } else {
        path.display().to_string()
    };
    Failure::Input { path, problem }
}

/// What bytes are.
///
/// # Errors
///
/// That they are neither.
pub fn understand(bytes: Vec<u8>) -> Result<Input, Problem> {
    let bytes = unpacked(bytes)?;
    let text = utf8(&bytes);
    let text = text.as_deref().unwrap_or(&bytes);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(Problem::Empty);
    }
    let compressed = COMPRESSED.iter().find(|(magic, _)| text.starts_with(magic));
    if let Some((_, how)) = compressed {
        return Err(Problem::Compressed(how));
    }
    let value: Value = serde_json::from_slice(text).map_err(|error| broken(text, &error))?;
    understood(value).map_err(|problem| match problem {
        Problem::Foreign(_) => Problem::Foreign(beginning(text)),
        problem => problem,
    })
}

fn understood(value: Value) -> Result<Input, Problem> {
    if let Some(version) = value["schema"].as_str().and_then(report_version) {
        return report(value, version);
    }
    if value["format"] == capture::FORMAT {
        return capture(value);
    }
    Err(match value["schema"].as_str() {
        Some(schema) if schema.starts_with("stall-agent/comparison/") => {
            Problem::Other("a comparison of two runs")
        }
        Some("stall-agent-check") => Problem::Other("an answer of stall-agent check"),
        _ => Problem::Foreign(String::new()),
    })
}

fn unpacked(bytes: Vec<u8>) -> Result<Vec<u8>, Problem> {
    if !bytes.starts_with(&GZIP) {
        return Ok(bytes);
    }
    let mut plain = Vec::new();
    let mut gzip = MultiGzDecoder::new(bytes.as_slice()).take(UNPACKED_MOST);
    match gzip.read_to_end(&mut plain) {
        Ok(_) => Ok(plain),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(Problem::Gzip("it is cut short".to_owned()))
        }
        Err(error) => Err(Problem::Gzip(reason(&error))),
    }
}

/// Without the mark of UTF-8, and out of UTF-16, as `PowerShell` writes what it is given; `None` where it is neither.
fn utf8(bytes: &[u8]) -> Option<Vec<u8>> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] => return Some(rest.to_vec()),
        [0xff, 0xfe, ..] => u16::from_le_bytes,
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let pairs = bytes[2..].chunks_exact(2);
    let units: Vec<u16> = pairs.map(|pair| unit([pair[0], pair[1]])).collect();
    Some(String::from_utf16_lossy(&units).into_bytes())
}

fn report_version(schema: &str) -> Option<u64> {
    let (name, _) = SCHEMA.rsplit_once('/')?;
    let version = schema.strip_prefix(name)?.strip_prefix('/')?;
    version.parse().ok()
}

/// The schema of a report as it is read.
static READABLE: LazyLock<Value> = LazyLock::new(fit::schema::<Report>);

/// Values of [`Kind`](crate::report::model::Kind) that version 1 had under another name.
const RENAMED: [(&str, &str); 2] = [
    ("heavy_neighbour", "noisy_neighbor"),
    ("above_the_disk", "upstream_storage"),
];

/// Facts of version 1 that mean the same today.
const SAME_FACTS: [&str; 5] = [
    "blamed_share",
    "explained_share",
    "exposed_slow",
    "slow_requests",
    "wait_ratio",
];

/// A verdict of version 1, with the names of today, without what it did not weigh; other facts are told by their text.
fn rename(verdict: &mut Value) {
    let rename = |kind: &mut Value| {
        let mut renamed = RENAMED.iter();
        if let Some((_, new)) = renamed.find(|(old, _)| kind == old) {
            *kind = Value::from(*new);
        }
    };
    rename(&mut verdict["kind"]);
    let Some(hypotheses) = verdict["hypotheses"].as_array_mut() else {
        return;
    };
    hypotheses.retain(|one| one["standing"] != "not_weighed");
    for hypothesis in hypotheses {
        rename(&mut hypothesis["kind"]);
        for side in ["evidence_for", "evidence_against"] {
            for evidence in hypothesis[side].as_array_mut().into_iter().flatten() {
                let fact = evidence["fact"].as_str();
                if fact.is_some_and(|fact| !SAME_FACTS.contains(&fact)) {
                    evidence["fact"] = Value::from("other");
                }
            }
        }
    }
}

fn report(mut value: Value, found: u64) -> Result<Input, Problem> {
    const WHAT: &str = "a report";
    let newest = report_version(SCHEMA).unwrap_or(OLDEST_REPORT);
    let made_by = value["agent"]["version"].as_str().map(str::to_owned);
    if !(OLDEST_REPORT..=newest).contains(&found) {
        return Err(Problem::Version {
            what: WHAT,
            found,
            reads: range(OLDEST_REPORT, newest),
            made_by,
        });
    }
    if found == 1 && value["verdict"].is_object() {
        rename(&mut value["verdict"]);
    }
    let fitted = fit::fit(value, &READABLE, &["verdict", "host", "window"]);
    let (report, mut differences) =
        fitted.map_err(|misfit| unfit(WHAT, misfit, made_by.clone()))?;
    if found < newest {
        // What that version did not have is no news.
        differences.missing.clear();
    }
    Ok(Input {
        document: Document::Report(Box::new(report)),
        differences,
        made_by,
    })
}

fn capture(value: Value) -> Result<Input, Problem> {
    const WHAT: &str = "a capture";
    let made_by = value["agent_version"].as_str().map(str::to_owned);
    let found = value["version"].as_u64().unwrap_or(0);
    if !Capture::reads(found) {
        return Err(Problem::Version {
            what: WHAT,
            found,
            reads: capture_versions(),
            made_by,
        });
    }
    let fitted = Capture::fit(value);
    let (capture, differences) = fitted.map_err(|misfit| unfit(WHAT, misfit, made_by.clone()))?;
    Ok(Input {
        document: Document::Capture(Box::new(capture)),
        differences,
        made_by,
    })
}

fn capture_versions() -> String {
    range(capture::OLDEST.into(), capture::VERSION.into())
}

fn range(first: u64, last: u64) -> String {
    if first == last {
        first.to_string()
    } else {
        format!("{first} to {last}")
    }
}

fn unfit(what: &'static str, misfit: Misfit, made_by: Option<String>) -> Problem {
    match misfit {
        Misfit::Damaged(damage) => Problem::Damaged {
            what,
            at: format!(" ({damage})"),
        },
        Misfit::Unknown(value) => Problem::Newer {
            what,
            value,
            made_by,
        },
    }
}

/// What was one of ours before it was cut or damaged still has its name in it.
fn broken(text: &[u8], error: &serde_json::Error) -> Problem {
    let has = |name: &[u8]| text.windows(name.len()).any(|part| part == name);
    let name = SCHEMA.trim_end_matches(|c: char| c.is_ascii_digit());
    let what = if has(name.as_bytes()) {
        "a report"
    } else if capture::is_one(text) {
        "a capture"
    } else {
        return Problem::Foreign(beginning(text));
    };
    let (line, column) = (error.line(), error.column());
    let at = if error.is_eof() {
        format!(" or cut short: it ends at line {line} column {column}")
    } else {
        let said = error.to_string();
        let (said, _) = said.split_once(" at line ").unwrap_or((&said, ""));
        format!(" at line {line} column {column} ({said})")
    };
    Problem::Damaged { what, at }
}

fn beginning(text: &[u8]) -> String {
    let head = String::from_utf8_lossy(&text[..text.len().min(4 * BEGINNING)]);
    let head: String = head.trim_start().chars().take(BEGINNING).collect();
    escape(head.trim_end())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use serde_json::json;

    use super::*;
    use crate::report::model::Kind;
    use crate::report::{Paint, sheet};

    /// As the first version wrote them; kept for ever.
    const REPORT_1: &str = include_str!("../../tests/fixtures/versions/report-1.json");
    const CAPTURE_1: &str = include_str!("../../tests/fixtures/versions/capture-1.json");

    fn read(text: impl Into<Vec<u8>>) -> Input {
        understand(text.into()).unwrap_or_else(|problem| panic!("{problem}"))
    }

    fn report_of(text: impl Into<Vec<u8>>) -> Report {
        match read(text).document {
            Document::Report(report) => *report,
            Document::Capture(_) => panic!("a capture"),
        }
    }

    fn problem(text: impl Into<Vec<u8>>) -> String {
        understand(text.into()).unwrap_err().to_string()
    }

    fn value(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    /// A report as this version writes it.
    fn report_now() -> Value {
        let capture = Capture::read(CAPTURE_1.as_bytes()).unwrap();
        serde_json::to_value(crate::analysis::analyze(&capture)).unwrap()
    }

    #[test]
    fn a_verdict_of_version_1_has_its_name_of_today() {
        let mut report = value(REPORT_1);
        report["verdict"]["kind"] = json!("heavy_neighbour");
        report["verdict"]["hypotheses"][0]["kind"] = json!("above_the_disk");
        let input = read(report.to_string());
        assert!(input.differences.is_empty(), "{}", input.differences);
        let verdict = report_of(report.to_string()).verdict;
        assert_eq!(verdict.kind, Kind::NoisyNeighbor);
        assert_eq!(verdict.hypotheses[0].kind, Kind::UpstreamStorage);
    }

    #[test]
    fn the_first_version_is_read_without_a_word() {
        for text in [REPORT_1, CAPTURE_1] {
            let input = read(text);
            assert!(input.differences.is_empty(), "{}", input.differences);
        }
        let report = report_of(REPORT_1);
        let flush = report
            .requests
            .slowest
            .iter()
            .find(|one| one.sector.is_none());
        assert!(flush.is_some(), "an empty flush has no sector");
    }

    #[test]
    fn a_file_that_came_through_other_programs_is_the_same() {
        let plain = report_of(REPORT_1);
        let sorted = serde_json::to_string_pretty(&value(REPORT_1)).unwrap();
        // As jq 1.6 and JavaScript write what a double does not keep.
        let rounded = sorted.replace("18446744073709551615", "18446744073709552000");
        assert_ne!(sorted, rounded);
        let exponent = sorted.replace("18446744073709551615", "1.8446744073709552e+19");
        let floats = sorted.replace("\"cpus\": 2,", "\"cpus\": 2.0,");
        assert_ne!(sorted, floats);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(REPORT_1.as_bytes()).unwrap();
        let utf16 = REPORT_1.encode_utf16().flat_map(u16::to_le_bytes);
        let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(utf16).collect();
        let marked = format!("\u{feff}{REPORT_1}");
        let files = [sorted, rounded, exponent, floats, marked].map(String::into_bytes);
        for file in files.into_iter().chain([gzip.finish().unwrap(), utf16]) {
            assert_eq!(report_of(file), plain);
        }
    }

    /// Of an older version, which lacks the field, and of a newer one, which has a value or a field more. What is read can be
    /// shown to a person.
    #[test]
    fn any_field_may_be_missing_and_any_value_new() {
        for whole in [report_now(), value(CAPTURE_1)] {
            let mut read = 0;
            for place in places(&whole) {
                for change in [Change::Remove, Change::Rename, Change::Add] {
                    let mut other = whole.clone();
                    if !alter(&mut other, &place, change) {
                        continue;
                    }
                    match understood(other) {
                        Ok(input) => {
                            read += 1;
                            // Of what lies deeper no text is a header of its own.
                            if let Document::Report(report) = &input.document
                                && place.matches('/').count() < 3
                            {
                                assert!(!sheet(report, Paint::Plain).is_empty());
                            }
                        }
                        Err(Problem::Damaged { at, .. }) => {
                            assert!(is_core(&place), "{place} {change:?}: {at}");
                        }
                        Err(Problem::Newer { .. }) => {
                            assert_eq!(place, "/verdict/kind", "{change:?}");
                        }
                        Err(_) => assert!(is_name(&place), "{place} {change:?}"),
                    }
                }
            }
            assert!(read > 300, "{read}");
        }
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Change {
        Remove,
        Rename,
        Add,
    }

    fn is_name(place: &str) -> bool {
        ["/schema", "/format", "/version"].contains(&place)
    }

    /// Without them there is nothing to show.
    fn is_core(place: &str) -> bool {
        ["/verdict", "/host", "/window", "/settings"].contains(&place)
    }

    /// Pointers to the fields of each object, of arrays in the first element only.
    fn places(value: &Value) -> Vec<String> {
        let mut places = Vec::new();
        let children: Vec<(String, &Value)> = match value {
            Value::Object(fields) => fields
                .iter()
                .map(|(name, one)| (name.clone(), one))
                .collect(),
            Value::Array(items) => items
                .iter()
                .take(1)
                .map(|one| ("0".to_owned(), one))
                .collect(),
            _ => Vec::new(),
        };
        for (name, child) in children {
            if value.is_object() {
                places.push(format!("/{name}"));
            }
            places.extend(
                self::places(child)
                    .into_iter()
                    .map(|rest| format!("/{name}{rest}")),
            );
        }
        places
    }

    /// False where there is nothing to change so: only words can be of an enumeration.
    fn alter(whole: &mut Value, place: &str, change: Change) -> bool {
        let (parent, name) = place.rsplit_once('/').unwrap();
        let parent = whole.pointer_mut(parent).unwrap();
        match change {
            Change::Remove => drop(parent.as_object_mut().unwrap().remove(name)),
            Change::Add => parent["of_a_newer_version"] = json!({"a": [1]}),
            Change::Rename => {
                if !parent[name]
                    .as_str()
                    .is_some_and(|text| text.chars().all(|c| c == '_' || c.is_ascii_lowercase()))
                {
                    return false;
                }
                parent[name] = json!("of_a_newer_version");
            }
        }
        true
    }

    #[test]
    fn what_could_not_be_shown_is_told() {
        let mut older = report_now();
        older["verdict"]
            .as_object_mut()
            .unwrap()
            .remove("unexplained_devices");
        older["devices"][0]["layer"] = json!("beside");
        let told = read(older.to_string()).differences.to_string();
        assert_eq!(
            told,
            "1 field (verdict.unexplained_devices) missing, shown as empty; 1 value (devices[].layer beside) not known to this \
             version, shown as unknown or left out"
        );
    }

    #[test]
    fn each_other_file_is_told_what_it_is() {
        let next = REPORT_1.replace("stall-agent/report/1", "stall-agent/report/99");
        let said = problem(next);
        assert!(
            said.starts_with("a report of format 99, but this program reads 1"),
            "{said}"
        );
        let said = problem(CAPTURE_1.replacen("\"version\":1", "\"version\":7", 1));
        assert!(
            said.starts_with("a capture of format 7, but this program reads 1 to 2"),
            "{said}"
        );
        let half = &REPORT_1[..REPORT_1.len() / 2];
        assert!(
            problem(half).starts_with("a report, damaged or cut short: it ends at line 1"),
            "{}",
            problem(half)
        );
        let said = problem(REPORT_1.replacen(',', ",,", 3));
        assert!(
            said.starts_with("a report, damaged at line 1 column "),
            "{said}"
        );
        let half = &CAPTURE_1[..CAPTURE_1.len() / 2];
        assert!(problem(half).starts_with("a capture, damaged or cut short"));
        let mut typed = value(REPORT_1);
        typed["verdict"]["sentence"] = json!(7);
        assert!(problem(typed.to_string()).contains("(verdict.sentence is not of type string)"));
        assert!(problem("").contains("empty") && problem(" \n").contains("empty"));
        assert_eq!(
            problem("<html>\n<title>502 Bad Gateway</title>"),
            "neither a report nor a capture of stall-agent (it begins with <html>\\n<title>502 Bad Gateway<)"
        );
        assert!(problem("{\"a\":1}").contains("begins with {\"a\":1}"));
        assert!(problem("[]").contains("neither"));
        assert!(problem(b"\x28\xb5\x2f\xfd...".to_vec()).contains("zstd"));
        assert!(problem(b"\x1f\x8b\x08".to_vec()).contains("damaged gzip (it is cut short)"));
        let comparison = json!({"schema": "stall-agent/comparison/1"});
        assert!(problem(comparison.to_string()).starts_with("a comparison of two runs"));
    }
}
