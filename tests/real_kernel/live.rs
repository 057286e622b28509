//! The view of a trace that is under way, on a real terminal.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use stall_tests::block_io::load::Load;
use stall_tests::scratch::Scratch;
use stall_tests::slow_disk::{Delay, LockMode, Op};
use stall_tests::staged::StagedDisk;

use crate::harness::ftrace::EventLog;
use crate::harness::skip::Need;
use crate::harness::terminal::Terminal;
use crate::harness::test::Test;
use crate::harness::{agent, document};

const TMUX: &[Need] = &[Need::Program("tmux"), Need::Program("stty")];

pub(crate) const TESTS: &[Test] = &[
    Test::new("shows_what_happens_and_is_left_by_a_key", by_a_key).needs(TMUX),
    Test::new("each_way_to_leave_it_writes_the_report", each_way).needs(TMUX),
    Test::new("a_terminal_that_is_killed_leaves_a_report", killed).needs(TMUX),
    Test::new("a_terminal_that_stands_still_stops_nothing", stopped).needs(TMUX),
    Test::new("it_is_refused_nothing", refused_nothing).needs(TMUX),
    Test::new("without_a_terminal_it_says_so", without_one).needs(&[Need::Program("setsid")]),
];

/// Of `stall-agent --help`.
const NO_TERMINAL: i32 = 23;

/// A disk on which discards keep reads waiting, and both at work.
fn trimmed() -> Result<(StagedDisk, [Load; 2])> {
    let disk = StagedDisk::builder()
        .size(256 << 20)
        .lock(LockMode::DiscardExclusive)
        .delay(Op::Discard, Delay::constant(120_000))
        .start()?;
    let long = Duration::from_secs(60);
    let reads = ["read:0:4096:8:4096", "sleep:5"];
    let discards = ["discard:134217728:1048576:8:1048576", "sleep:60"];
    let loads = [
        Load::start_for("postgres", &disk.device(), &reads, long)?,
        Load::start_for("trimmer", &disk.device(), &discards, long)?,
    ];
    Ok((disk, loads))
}

/// Check that the view shows the disk, the discards with their submitter and the verdict, on terminals of three sizes;
/// and that a key ends it with a valid report, the terminal as it was.
fn by_a_key() -> Result<()> {
    let (disk, _loads) = trimmed()?;
    let name = disk.name();
    let folder = Scratch::new()?;
    let capture = folder.path().join("capture");
    let kept = capture.to_str().context("it is UTF-8")?;
    let arguments = ["--device", name, "--capture", kept];
    let terminal = Terminal::tracing((80, 24), &[], &arguments)?;
    terminal.wait_for(&[
        "SO FAR: ",
        name,
        "trimmer (pid ",
        "q ends it and writes the report",
    ])?;
    let styled = terminal.shows_styled()?;
    ensure!(is_coloured(&styled), "{styled:?}");
    terminal.resize(40, 10)?;
    terminal.wait_for(&["SO FAR: ", name, "q ends it"])?;
    terminal.resize(132, 40)?;
    let shown = terminal.wait_for(&["SO FAR: ", name, "IN D NOW"])?;
    ensure!(shown.lines().count() > 30, "{shown}");
    terminal.press(&["Up", "x", "q"])?;
    let report = ends_well(&terminal)?;
    ensure!(
        document::analyzed(&capture)? == report,
        "`analyze` of the capture gives another report"
    );
    let shown = terminal.shows()?;
    ensure!(!shown.contains("SO FAR"), "it is still there:\n{shown}");
    Ok(())
}

/// Whether anything has a colour other than the terminal's own.
fn is_coloured(styled: &str) -> bool {
    ["38;5;", "31m", "32m", "33m"]
        .iter()
        .any(|colour| styled.contains(colour))
}

/// Exit code 0, a valid report of a window that was cut short, the summary on stderr.
fn ends_well(terminal: &Terminal) -> Result<Value> {
    let code = terminal.wait_for_end()?;
    ensure!(code == 0, "exit code {code}: {}", terminal.said());
    let report = terminal.report()?;
    ensure!(
        report["window"]["interrupted"] == true,
        "{}",
        report["window"]
    );
    ensure!(terminal.said().contains("VERDICT"), "{}", terminal.said());
    Ok(report)
}

/// Check that Esc, Ctrl-C, SIGINT and SIGTERM end it as `q` does, without colour too.
fn each_way() -> Result<()> {
    let plain = ["env", "NO_COLOR=1"];
    for way in ["Escape", "C-c", "SIGINT", "SIGTERM"] {
        let terminal = Terminal::tracing((80, 24), &plain, &["--interval", "200ms"])?;
        terminal.wait_for(&["SO FAR: "])?;
        let styled = terminal.shows_styled()?;
        ensure!(!is_coloured(&styled), "{styled:?}");
        match way {
            "SIGINT" => terminal.signal(Signal::SIGINT)?,
            "SIGTERM" => terminal.signal(Signal::SIGTERM)?,
            key => terminal.press(&[key])?,
        }
        ends_well(&terminal).with_context(|| format!("ended by {way}"))?;
    }
    Ok(())
}

/// Check that the report is written when the terminal goes away.
fn killed() -> Result<()> {
    let terminal = Terminal::tracing((80, 24), &[], &["--interval", "200ms"])?;
    terminal.wait_for(&["SO FAR: "])?;
    terminal.close()?;
    terminal.wait_until_gone()?;
    let report = terminal.report()?;
    ensure!(
        report["window"]["interrupted"] == true,
        "{}",
        report["window"]
    );
    Ok(())
}

/// Check that a terminal that takes nothing more, however much is drawn, keeps no interval from being closed and the
/// report from being written in time.
fn stopped() -> Result<()> {
    let (disk, _loads) = trimmed()?;
    let arguments = [
        "--device",
        disk.name(),
        "--interval",
        "100ms",
        "--duration",
        "5s",
    ];
    let terminal = Terminal::tracing((80, 24), &[], &arguments)?;
    terminal.wait_for(&["SO FAR: "])?;
    let device = terminal.device()?;
    terminal.server().signal(Signal::SIGSTOP)?;
    for turn in 0..40 {
        let size = if turn % 2 == 0 {
            ["100", "40"]
        } else {
            ["132", "50"]
        };
        let sized = Command::new("stty")
            .args(["-F", &device, "cols", size[0], "rows", size[1]])
            .status()?;
        ensure!(sized.success(), "stty: {sized}");
        thread::sleep(Duration::from_millis(50));
    }
    let in_time =
        stall_tests::spawned::wait_until(Duration::from_secs(8), || terminal.report().is_ok());
    terminal.server().signal(Signal::SIGCONT)?;
    ensure!(in_time, "there is no report: {}", terminal.said());
    let report = terminal.report()?;
    let intervals = report["intervals"]
        .as_array()
        .context("there are intervals")?;
    let longest = intervals.iter().map(|one| {
        one["end_ns"].as_u64().unwrap_or(u64::MAX) - one["start_ns"].as_u64().unwrap_or(0)
    });
    let longest = Duration::from_nanos(longest.max().unwrap_or(u64::MAX));
    crate::harness::note!("{} intervals, the longest {longest:?}", intervals.len());
    // On a busy machine an interval may be long; one that waited for the terminal would have no end.
    ensure!(
        intervals.len() > 10 && longest < Duration::from_secs(2),
        "{} intervals, the longest {longest:?}",
        intervals.len()
    );
    terminal.wait_for_end()?;
    Ok(())
}

/// Check with the kernel's own log that no call of a run with a view fails with `EPERM`: what it needs is in the filter.
fn refused_nothing() -> Result<()> {
    let own_doing = "sched/sched_process_fork";
    let log = EventLog::of(&[("raw_syscalls/sys_exit", "ret == -1"), (own_doing, "")])?;
    let terminal = Terminal::tracing((80, 24), &[], &["--interval", "100ms"])?;
    terminal.wait_for(&["SO FAR: "])?;
    let threads = stall_tests::spawned::threads(terminal.pid()?);
    ensure!(threads.len() > 3, "the view has no threads");
    terminal.resize(100, 30)?;
    terminal.wait_for(&["SO FAR: "])?;
    terminal.press(&["q"])?;
    ends_well(&terminal)?;
    let of_own = |line: &String| {
        let mut own = threads.iter();
        own.any(|pid| line.contains(&format!("-{pid} ")))
    };
    let own = log.lines()?.into_iter().filter(of_own);
    let (threads, refused): (Vec<_>, Vec<_>) =
        own.partition(|line| line.contains("sched_process_fork"));
    ensure!(
        !threads.is_empty(),
        "no trap was set: the log has nothing of it"
    );
    ensure!(refused.is_empty(), "calls were refused: {refused:?}");
    Ok(())
}

/// Check that it says in one sentence what it lacks, and traces nothing.
fn without_one() -> Result<()> {
    let agent = agent::program()?;
    let no_tty = Command::new("setsid")
        .arg("--wait")
        .arg(&agent)
        .args(["trace", "--live", "--duration", "1s"])
        .env("TERM", "xterm")
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&no_tty.stderr);
    ensure!(
        no_tty.status.code() == Some(NO_TERMINAL),
        "{}: {said}",
        no_tty.status
    );
    ensure!(
        said.lines().count() == 1 && said.contains("--live needs a terminal"),
        "{said}"
    );
    ensure!(no_tty.stdout.is_empty(), "it traced");
    Ok(())
}
