//! Bad input, given to the real program: one sentence on stderr, its exit code, nothing on stdout.
//!
//! Nothing here traces.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

mod compare;
mod completions;
mod files;
mod formats;
mod joined;
mod kubectl;
mod privileges;
mod terminal;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::process::{Command, Output, Stdio};

use stall_agent::capture::{self, Capture, Host, Overhead, Settings, Window};

const AGENT: &str = env!("CARGO_BIN_EXE_stall-agent");

fn agent(arguments: &[&str]) -> Output {
    Command::new(AGENT)
        .args(arguments)
        .output()
        .expect("the program under test starts")
}

/// The sentence on stderr, after checking that it is one and that nothing else was said.
fn sentence(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(output.stdout.is_empty(), "stdout is not empty: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("stall-agent: "), "{stderr}");
    stderr
}

fn refused(arguments: &[&str], code: i32) -> String {
    sentence(&agent(arguments), code)
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[test]
fn each_wrong_time_has_its_own_sentence() {
    let cases = [
        ("0s", "is zero"),
        ("-5s", "is negative"),
        ("60", "has no unit: write 60"),
        ("300d", "is too long: give at most 1day"),
        ("soon", "is not a time"),
        ("", "is not a time"),
    ];
    for (time, expected) in cases {
        for option in ["--duration", "--interval", "--slow"] {
            let said = refused(&["trace", option, time], 2);
            let expected = match option {
                "--duration" => expected,
                _ => expected.trim_end_matches("1day"),
            };
            assert!(said.contains(expected), "{said}");
        }
    }
}

#[test]
fn a_command_line_that_makes_no_sense() {
    let cases: [(&str, &[&str]); 11] = [
        ("", &["trac"]),
        ("trace ", &["trace", "--bogus"]),
        ("trace ", &["trace", "-v", "-q"]),
        ("trace ", &["trace", "--capture", "-"]),
        ("trace ", &["trace", "--capture", "a", "--output", "a"]),
        ("trace ", &["trace", "--duration", "1s", "--interval", "2s"]),
        ("analyze ", &["analyze"]),
        ("check ", &["check", "--format", "yaml"]),
        ("check ", &["check", "--format", "html"]),
        ("compare ", &["compare", "a", "b", "--format", "html"]),
        ("report ", &["report", "a", "--html", "--format", "text"]),
    ];
    for (command, arguments) in cases {
        let said = refused(arguments, 2);
        let help = format!("see stall-agent {command}--help");
        assert!(said.trim_end().ends_with(&help), "{said}");
    }
}

#[test]
fn without_a_command_the_short_help_is_shown() {
    let output = agent(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let help = String::from_utf8(output.stderr).unwrap();
    assert!(
        help.contains("Commands:") && help.lines().count() < 30,
        "{help}"
    );
}

#[test]
fn help_has_a_command_of_its_own() {
    let trace = agent(&["help", "trace"]);
    assert_eq!(trace.status.code(), Some(0));
    let help = String::from_utf8(trace.stdout).unwrap();
    assert!(help.contains("--duration"), "{help}");
    assert_eq!(agent(&["help"]).stdout, agent(&["--help"]).stdout);
}

#[test]
fn a_host_root_without_a_host() {
    let said = refused(&["check", "--host-root", "/usr"], 2);
    assert!(said.contains("has no /proc"), "{said}");
}

#[test]
fn an_unknown_device_is_told_what_there_is() {
    if !is_root() {
        return;
    }
    for device in [
        "no-such-disk",
        "/dev/no-such-disk",
        "4095:1048575",
        "/proc",
        "/dev/null",
        "",
    ] {
        let said = refused(&["trace", "--duration", "1s", "--device", device], 7);
        assert!(
            said.contains("the disks here are") || said.contains("no disks"),
            "{said}"
        );
    }
}

#[test]
fn a_hostile_name_does_not_reach_the_terminal() {
    if !is_root() {
        return;
    }
    let said = refused(&["trace", "--device", "a\n\u{1b}[2J\u{202e}"], 7);
    assert!(said.contains("a\\n\\u{1b}[2J\\u{202e}"), "{said}");
}

#[test]
fn an_output_that_cannot_be_written_is_found_before_the_trace() {
    if !is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("link");
    symlink("/etc/passwd", &link).unwrap();
    let link = link.to_str().unwrap();
    let cases = [
        ("/no/such/directory/x.json", "No such file or directory"),
        ("/proc/x.json", "cannot be written"),
        ("/dev/null", "not a regular file"),
        ("/tmp", "it is a directory"),
        (link, "it is a symbolic link"),
    ];
    for option in ["--output", "--capture"] {
        for (path, reason) in cases {
            let said = refused(&["trace", "--duration", "1h", option, path], 8);
            assert!(said.contains(reason) && said.contains(option), "{said}");
        }
    }
}

#[test]
fn a_full_disk_is_found_before_the_trace() {
    if !is_root() {
        return;
    }
    let mounted = SmallDisk::mount();
    let path = mounted.directory.path().join("stall.json");
    let path = path.to_str().unwrap();
    let said = refused(&["trace", "--duration", "1h", "--output", path], 8);
    assert!(said.contains("No space left on device"), "{said}");
}

/// A filesystem in memory that is full.
struct SmallDisk {
    directory: tempfile::TempDir,
}

impl SmallDisk {
    fn mount() -> Self {
        use nix::mount::{MsFlags, mount};
        let directory = tempfile::tempdir().expect("a directory to mount on");
        let (kind, options) = (Some("tmpfs"), Some("size=64k"));
        mount(kind, directory.path(), kind, MsFlags::empty(), options)
            .expect("root may mount a tmpfs");
        let filler = directory.path().join("filler");
        let mut filler = fs::File::create(filler).expect("the tmpfs takes a file");
        while filler.write_all(&[0; 4096]).is_ok() {}
        Self { directory }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        nix::mount::umount(self.directory.path()).expect("nothing keeps the tmpfs");
    }
}

#[test]
fn what_is_not_a_capture_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let start = "{\"format\":\"stall-agent-capture\",\"version\":";
    let cases = [
        (file("empty", ""), "the file is empty"),
        (
            file("foreign", "{\"a\":1}"),
            "neither a report nor a capture",
        ),
        (
            file("binary", "\0\u{1}\u{2}"),
            "neither a report nor a capture",
        ),
        (file("cut", &format!("{start}1,\"agent_ver")), "cut short"),
        (
            file("other", &format!("{start}999}}")),
            "a capture of format 999",
        ),
        (file("bare", &format!("{start}1}}")), "damaged"),
        ("/no/such/file".to_owned(), "No such file"),
        ("/tmp".to_owned(), "Is a directory"),
    ];
    for (path, reason) in cases {
        for command in ["analyze", "report"] {
            let said = refused(&[command, &path], 9);
            assert!(
                said.contains("cannot be read") && said.contains(reason),
                "{said}"
            );
        }
    }
}

/// A capture in which nothing happened.
fn empty_capture() -> String {
    let capture = Capture {
        format: capture::FORMAT.to_owned(),
        version: capture::VERSION,
        agent_version: "test".to_owned(),
        host: Host::default(),
        settings: Settings::default(),
        window: Window {
            end_ns: 60_000_000_000,
            ..Window::default()
        },
        hooks: Vec::new(),
        gaps: Vec::new(),
        disks: Vec::new(),
        actors: Vec::new(),
        uses: Vec::new(),
        owners: Vec::new(),
        series: Vec::new(),
        discards: Vec::new(),
        slow_requests: Vec::new(),
        discard_requests: Vec::new(),
        unfinished_requests: Vec::new(),
        tasks: Vec::new(),
        blocked: Vec::new(),
        long_sleeps: Vec::new(),
        unfinished_sleeps: Vec::new(),
        stacks: Vec::new(),
        intervals: Vec::new(),
        loss: Vec::new(),
        overhead: Overhead::default(),
        confinement: None,
        inventory: capture::Inventory::default(),
        host_waits: capture::HostWaits::default(),
    };
    serde_json::to_string(&capture).expect("a capture is plain data")
}

#[test]
fn a_capture_cut_anywhere_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cut");
    let whole = empty_capture();
    for tenths in 1..10 {
        fs::write(&path, &whole[..whole.len() * tenths / 10]).unwrap();
        let said = refused(&["analyze", path.to_str().unwrap()], 9);
        assert!(said.contains("damaged or cut short"), "{said}");
    }
}

#[test]
fn a_capture_is_analyzed_from_a_file_and_from_stdin() {
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("stall.capture");
    let report = directory.path().join("stall.json");
    fs::write(&saved, empty_capture()).unwrap();
    let saved = saved.to_str().unwrap();
    let quiet = [
        "analyze",
        saved,
        "-q",
        "--pretty",
        "--output",
        report.to_str().unwrap(),
    ];
    let quiet = agent(&quiet);
    assert_eq!(quiet.status.code(), Some(0));
    assert!(quiet.stderr.is_empty() && quiet.stdout.is_empty());
    let stdin = Command::new(AGENT)
        .args(["analyze", "-"])
        .stdin(fs::File::open(saved).unwrap())
        .output()
        .unwrap();
    let lines = String::from_utf8(stdin.stderr).unwrap().lines().count();
    assert!((1..=15).contains(&lines), "a summary of {lines} lines");
    let from_file: serde_json::Value = serde_json::from_slice(&fs::read(&report).unwrap()).unwrap();
    let from_stdin: serde_json::Value = serde_json::from_slice(&stdin.stdout).unwrap();
    assert_eq!(from_file, from_stdin);
}

#[test]
fn the_exit_code_tells_the_verdict_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("stall.capture");
    fs::write(&saved, empty_capture()).unwrap();
    let output = agent(&["analyze", saved.to_str().unwrap(), "--exit-code"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = match report["verdict"]["kind"].as_str() {
        Some("no_stall") => 0,
        Some("inconclusive") => 12,
        other => panic!("{other:?} for nothing at all"),
    };
    assert_eq!(output.status.code(), Some(expected));
}

#[test]
fn who_has_read_enough_may_go() {
    for arguments in [
        &["schema"] as &[_],
        &["check"],
        &["--help"],
        &["completions", "bash"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = Command::new(AGENT).args(arguments).stdout(writer).output();
        let output = output.unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{output:?}"
        );
    }
}

#[test]
fn a_full_stdout_is_one_sentence() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = Command::new(AGENT).arg("schema").stdout(full).output();
    let said = sentence(&output.unwrap(), 20);
    assert!(said.contains("No space left on device"), "{said}");
}

#[test]
fn a_closed_stderr_does_not_change_the_exit_code() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = Command::new(AGENT)
        .arg("nonsense")
        .stderr(writer)
        .stdout(Stdio::null())
        .status();
    assert_eq!(status.unwrap().code(), Some(2));
}

#[test]
fn help_and_version_are_documents_of_their_own() {
    let help = agent(&["--help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    assert_eq!(help.status.code(), Some(0));
    assert!(text.contains("Examples:") && text.contains("Exit codes:"));
    let version = agent(&["--version"]);
    let text = String::from_utf8(version.stdout).unwrap();
    assert!(
        text.starts_with("stall-agent 0.") && text.contains('('),
        "{text}"
    );
}

#[test]
fn check_answers_as_text_and_as_json() {
    let text = agent(&["check"]);
    assert!(
        String::from_utf8(text.stdout)
            .unwrap()
            .starts_with("This host can")
    );
    let json = agent(&["check", "--format", "json"]);
    assert_eq!(json.status.code(), text.status.code());
    let answer: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(answer["schema"], "stall-agent-check");
    assert!(answer["capabilities"].as_array().unwrap().len() > 5);
}
