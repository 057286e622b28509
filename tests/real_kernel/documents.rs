//! Reports and captures as files: one document on stdout, the same again without root.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use stall_tests::scratch::Scratch;
use stall_tests::staged::{FileSystem, StagedDisk};

use crate::harness::agent;
use crate::harness::document;
use crate::harness::same;
use crate::harness::test::Test;

pub(crate) const TESTS: &[Test] = &[
    Test::new("a_capture_gives_the_same_report_without_root", without_root),
    Test::new("stdout_is_the_document_alone", streams),
    Test::new(
        "a_terminal_shows_the_summary_and_the_report_is_saved",
        terminal,
    ),
    Test::new("damaged_and_foreign_captures_are_refused", refused),
];

const NOBODY: u32 = 65534;

/// A short trace of a disk with a filesystem, its report and its capture in files.
struct Files {
    folder: Scratch,
    output: Output,
}

impl Files {
    fn make(arguments: &[&str]) -> Result<Self> {
        let disk = StagedDisk::builder()
            .file_system(FileSystem::Ext4)
            .size(1 << 30)
            .start()?;
        let folder = Scratch::new()?;
        let output = Command::new(agent::program()?)
            .args([
                "trace",
                "--duration",
                "400ms",
                "--device",
                disk.name(),
                "--capture",
            ])
            .arg(folder.path().join("capture"))
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "the agent: {}: {said}",
            output.status
        );
        Ok(Self { folder, output })
    }

    fn capture(&self) -> PathBuf {
        self.folder.path().join("capture")
    }
}

/// Check that somebody without any right makes the same report from a saved capture.
fn without_root() -> Result<()> {
    let files = Files::make(&["--quiet"])?;
    let report = document::one(&String::from_utf8(files.output.stdout.clone())?)?;
    let folder = Scratch::new()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    let program = folder.copy(&agent::program()?, "stall-agent")?;
    let output = Command::new(program)
        .args(["analyze", "-"])
        .stdin(File::open(files.capture())?)
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .context("running it as nobody")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "analyze: {}: {said}",
        output.status
    );
    let again: Value = document::one(&String::from_utf8(output.stdout)?)?;
    ensure!(again == report, "nobody gets another report than root");
    Ok(())
}

/// Check that stdout holds the report or nothing, and stderr a short summary or nothing.
fn streams() -> Result<()> {
    let said = |files: &Files| String::from_utf8_lossy(&files.output.stderr).into_owned();
    let plain = Files::make(&[])?;
    document::one(&String::from_utf8(plain.output.stdout.clone())?)?;
    let lines = said(&plain).lines().count();
    ensure!((1..=15).contains(&lines), "the summary has {lines} lines");
    let to_file = Files::make(&["--quiet", "--output", "report.json"])?;
    same("bytes on stdout", to_file.output.stdout.len() as u64, 0)?;
    ensure!(
        said(&to_file).is_empty(),
        "--quiet says {:?}",
        said(&to_file)
    );
    let report = fs::read_to_string(to_file.folder.path().join("report.json"))?;
    document::one(&report)?;
    let pretty = Files::make(&["--quiet", "--pretty"])?;
    ensure!(
        pretty.output.stdout.starts_with(b"{\n  "),
        "--pretty does not indent"
    );
    Ok(())
}

/// Check that a person at a terminal sees a summary and is told where the report is, and that JSON asked for is whole there,
/// as a program at the other end of `ssh -tt` needs it.
fn terminal() -> Result<()> {
    let disk = StagedDisk::builder().size(1 << 30).start()?;
    let trace = |more: &str| -> Result<String> {
        let agent = agent::program()?;
        let name = disk.name();
        let line = format!(
            "{} trace --duration 1s --device {name} {more}",
            agent.display()
        );
        // Both of its streams are a terminal of script(1)'s.
        document::stdout(Command::new("script").args(["-qec", &line, "/dev/null"]))
    };
    let shown = trace("")?;
    ensure!(!shown.contains("\"schema\""), "JSON on a terminal: {shown}");
    let saved = shown
        .split_whitespace()
        .find(|word| word.starts_with('/') && word.ends_with("Z.json"));
    let saved = saved.with_context(|| format!("it does not say where the report is: {shown}"))?;
    let report = fs::read_to_string(saved);
    fs::remove_file(saved)?;
    let report = document::one(&report?)?;
    ensure!(
        report["capture"].is_object(),
        "the report does not carry what was observed"
    );
    document::one(&trace("--format json")?.replace('\r', ""))?;
    Ok(())
}

/// Check that a capture cut anywhere, and what is none, is refused with one sentence and no output.
fn refused() -> Result<()> {
    let files = Files::make(&["--quiet"])?;
    let whole = fs::read(files.capture())?;
    let cases: [&[u8]; 5] = [
        b"",
        b"{}",
        &whole[..20],
        &whole[..whole.len() / 2],
        &whole[..whole.len() - 3],
    ];
    for case in cases {
        let file = files.folder.path().join("case");
        fs::write(&file, case)?;
        let output = Command::new(agent::program()?)
            .args(["analyze"])
            .arg(&file)
            .output()?;
        ensure!(
            !output.status.success(),
            "{} bytes of a capture were taken",
            case.len()
        );
        same("bytes on stdout", output.stdout.len() as u64, 0)?;
        let said = String::from_utf8_lossy(&output.stderr);
        same("lines on stderr", said.lines().count() as u64, 1)?;
    }
    Ok(())
}
