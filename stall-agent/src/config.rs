//! What the command line means, checked.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cli::{self, ReportFormat};
use crate::failure::Failure;
use crate::output::Destination;
use crate::progress::Verbosity;
use crate::start_at::StartAt;
use stall_host::HostRoot;
use stall_host::block_device::{self, WholeDisk};

const DAY: Duration = Duration::from_secs(24 * 3600);
const HOUR: Duration = Duration::from_secs(3600);
const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
const MIN_INTERVAL: Duration = Duration::from_millis(100);
/// etcd's own bound for a sync of its log.
const DEFAULT_SLOW: Duration = Duration::from_millis(10);
/// Of a recorder.
const DEFAULT_MEMORY: u64 = 48 << 20;
const MIN_DURATION: Duration = Duration::from_millis(100);
/// A number without a unit means seconds below this where both seconds and milliseconds are usual.
const SECONDS_BELOW: f64 = 100.0;
/// Requests are not timed finer.
const MIN_SLOW: Duration = Duration::from_micros(1);

/// A trace as `trace::run` is to do it, and what becomes of its result.
#[derive(Clone, Debug)]
pub struct Trace {
    /// `None` is until interrupted.
    pub duration: Option<Duration>,
    /// `None` is at once.
    pub start_at: Option<StartAt>,
    /// Snapshot interval; not longer than the duration.
    pub interval: Duration,
    /// A request that took at least this long is slow.
    pub slow: Duration,
    /// As given by `--device`; empty is all.
    pub devices: Vec<String>,
    /// The disks these stand for, stacked ones with what they are made of; empty is all. Filled by
    /// [`Trace::find_disks`].
    pub disks: Vec<WholeDisk>,
    pub host_root: HostRoot,
    pub verbosity: Verbosity,
    /// On a terminal, with what there is so far.
    pub live: bool,
    pub report: Report,
    /// Where the capture is saved, too.
    pub capture: Option<PathBuf>,
}

/// A recorder as it is to be.
#[derive(Clone, Debug)]
pub struct Record {
    /// What it traces, without an end.
    pub trace: Trace,
    pub directory: PathBuf,
    /// Memory that it may lock.
    pub memory_bytes: u64,
    pub metrics: Option<PathBuf>,
}

/// How a report is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub output: Destination,
    pub format: ReportFormat,
    /// Indented JSON.
    pub pretty: bool,
    /// The exit code tells the verdict.
    pub exit_code: bool,
    /// Somebody said where it is to go, or how.
    pub asked: bool,
    /// People are told the summary beside it.
    pub summary: bool,
}

/// What stdout and stderr are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminals {
    /// stdout is a terminal.
    pub stdout: bool,
    /// It is stderr's, too.
    pub same: bool,
}

impl Terminals {
    #[must_use]
    pub fn look() -> Self {
        let stdout = io::stdout().is_terminal();
        let device = |stat: rustix::io::Result<rustix::fs::Stat>| stat.ok().map(|it| it.st_rdev);
        let (out, err) = (
            rustix::fs::fstat(io::stdout()),
            rustix::fs::fstat(io::stderr()),
        );
        Self {
            stdout,
            same: stdout && io::stderr().is_terminal() && device(out) == device(err),
        }
    }
}

impl Trace {
    /// Checks everything that needs no look at the host's disks.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`], one sentence about the first invalid argument.
    pub fn new(typed: cli::Trace, verbosity: Verbosity) -> Result<Self, Failure> {
        let duration = typed
            .duration
            .map(|text| time("--duration", &text, MIN_DURATION, DAY))
            .transpose()?;
        let slow = typed.slow.map_or(Ok(DEFAULT_SLOW), |text| {
            time("--slow", &text, MIN_SLOW, HOUR)
        })?;
        let start_at = typed.start_at.as_deref();
        let start_at = start_at
            .map(|text| StartAt::new(text, SystemTime::now()))
            .transpose()?;
        let report = Report::new(typed.report, typed.format);
        check_capture(typed.capture.as_deref(), &report.output)?;
        Ok(Self {
            duration,
            start_at,
            interval: interval(typed.interval.as_deref(), duration)?,
            slow,
            devices: typed.device,
            disks: Vec::new(),
            host_root: host_root(&typed.host)?,
            verbosity,
            live: typed.live,
            report,
            capture: typed.capture,
        })
    }

    /// Finds the disks that `--device` stands for.
    ///
    /// # Errors
    ///
    /// [`Failure::Device`] for the first that stands for none.
    pub fn find_disks(&mut self) -> Result<(), Failure> {
        for device in &self.devices {
            self.disks
                .extend(block_device::resolve(&self.host_root, device)?);
        }
        self.disks.sort_unstable();
        self.disks.dedup();
        Ok(())
    }
}

impl Record {
    /// Checks everything that needs no look at the host's disks.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`], one sentence about the first thing that is invalid.
    pub fn new(typed: cli::Record, verbosity: Verbosity) -> Result<Self, Failure> {
        let memory_bytes = typed.memory.map_or(Ok(DEFAULT_MEMORY), |text| {
            size(&text).ok_or_else(|| {
                let sentence = "is no size: write it as 48MiB";
                Failure::Usage(format!("--memory {text} {sentence}"))
            })
        })?;
        let trace = cli::Trace {
            duration: None,
            start_at: None,
            interval: None,
            device: typed.device,
            slow: typed.slow,
            report: cli::Report {
                output: None,
                pretty: false,
                exit_code: false,
            },
            format: None,
            capture: None,
            live: false,
            host: typed.host,
        };
        Ok(Self {
            trace: Trace::new(trace, verbosity)?,
            directory: typed.directory.path,
            memory_bytes,
            metrics: typed.metrics,
        })
    }
}

impl Report {
    #[must_use]
    pub fn new(typed: cli::Report, format: Option<ReportFormat>) -> Self {
        Self {
            asked: typed.output.is_some() || format.is_some(),
            output: typed.output.map_or(Destination::Stdout, Destination::new),
            format: format.unwrap_or(ReportFormat::Json),
            pretty: typed.pretty,
            exit_code: typed.exit_code,
            summary: true,
        }
    }

    /// Changes what would be of no use on a terminal. A person there is shown the summary, and the report, which cannot be had
    /// again, goes to a file; nobody reads HTML there. JSON that was asked for stays whole, as it must for `ssh -tt` and a
    /// program at its other end: nothing else is said on the same terminal.
    pub fn suit(&mut self, terminals: Terminals, verbosity: &mut Verbosity) {
        if !terminals.stdout || self.output != Destination::Stdout {
            return;
        }
        match self.format {
            ReportFormat::Json if !self.asked && *verbosity != Verbosity::Quiet => {
                self.output = Destination::InMemory { extension: "json" };
            }
            ReportFormat::Json if terminals.same => *verbosity = Verbosity::Quiet,
            ReportFormat::Json => {}
            ReportFormat::Html => self.output = Destination::InMemory { extension: "html" },
            ReportFormat::Text
            | ReportFormat::Markdown
            | ReportFormat::Event
            | ReportFormat::OneLine
            | ReportFormat::NodeProblem
            | ReportFormat::Github
            | ReportFormat::K8sEvent
            | ReportFormat::OtlpJsonl => self.summary = !terminals.same,
            ReportFormat::Perfetto => {
                self.output = Destination::InMemory {
                    extension: "pftrace",
                };
            }
        }
    }
}

/// Of the two flags at most one is given.
#[must_use]
pub fn verbosity(typed: &cli::Cli) -> Verbosity {
    match (typed.quiet, typed.verbose) {
        (true, _) => Verbosity::Quiet,
        (_, true) => Verbosity::Verbose,
        _ => Verbosity::Normal,
    }
}

/// The host's root, which has a `/proc`.
///
/// # Errors
///
/// [`Failure::Usage`] when it has none.
pub fn host_root(typed: &cli::Host) -> Result<HostRoot, Failure> {
    let root = HostRoot::new(&typed.root);
    if root.exists("proc/1") {
        return Ok(root);
    }
    Err(Failure::Usage(format!(
        "--host-root {} has no /proc of a host: give the directory where the host's / is mounted",
        typed.root.display()
    )))
}

/// The default gives way to a shorter duration, a value given does not.
fn interval(typed: Option<&str>, duration: Option<Duration>) -> Result<Duration, Failure> {
    let Some(text) = typed else {
        return Ok(DEFAULT_INTERVAL.min(duration.unwrap_or(DEFAULT_INTERVAL)));
    };
    let interval = time("--interval", text, MIN_INTERVAL, HOUR)?;
    if duration.is_some_and(|duration| interval > duration) {
        return Err(Failure::Usage(format!(
            "--interval {text} is longer than --duration: give a shorter interval"
        )));
    }
    Ok(interval)
}

/// stdout takes one document, and a file too.
fn check_capture(capture: Option<&Path>, output: &Destination) -> Result<(), Failure> {
    let problem = match capture {
        Some(path) if path == Path::new("-") => "--capture needs a file: stdout is the report's",
        Some(path) if *output == Destination::File(path.to_owned()) => {
            "--capture and --output name the same file: give each its own"
        }
        _ => return Ok(()),
    };
    Err(Failure::Usage(problem.to_owned()))
}

/// A time with its unit, within bounds.
fn time(option: &str, text: &str, min: Duration, max: Duration) -> Result<Duration, Failure> {
    let usage = |problem: String| Failure::Usage(format!("{option} {text} {problem}"));
    let time = parse_time(option, text).map_err(usage)?;
    if time.is_zero() {
        return Err(usage("is zero: give a longer time".to_owned()));
    }
    if time < min {
        let min = humantime::format_duration(min);
        return Err(usage(format!("is too short: give at least {min}")));
    }
    if time > max {
        let max = humantime::format_duration(max);
        return Err(usage(format!("is too long: give at most {max}")));
    }
    Ok(time)
}

/// `48MiB`: a number with KiB, MiB or GiB.
fn size(text: &str) -> Option<u64> {
    let units = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
    units.iter().find_map(|(unit, bits)| {
        let number: u64 = text.trim().strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(1 << bits).filter(|bytes| *bytes > 0)
    })
}

/// The unit that a number given to an option without one is likely to mean.
fn unit_of(option: &str, text: &str) -> &'static str {
    let is_small = text
        .parse::<f64>()
        .is_ok_and(|number| number < SECONDS_BELOW);
    match option {
        "--slow" => "ms",
        "--interval" if !is_small => "ms",
        _ => "s",
    }
}

fn parse_time(option: &str, text: &str) -> Result<Duration, String> {
    use humantime::DurationError as Error;
    let text = text.trim();
    if text.starts_with('-') && text[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return Err("is negative: give a time such as 60s".to_owned());
    }
    if text.parse::<f64>().is_ok() {
        return Err(format!(
            "has no unit: write {text}{}",
            unit_of(option, text)
        ));
    }
    humantime::parse_duration(text).map_err(|error| match error {
        Error::NumberOverflow => "is too long: give at most 1day".to_owned(),
        _ => "is not a time: write it as 500ms, 60s or 2m30s".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use stall_host::fixture::Fixture;

    fn trace(arguments: &[&str]) -> Result<Trace, Failure> {
        let all = ["stall-agent", "trace"].iter().chain(arguments);
        let cli = cli::Cli::try_parse_from(all).unwrap();
        let verbosity = verbosity(&cli);
        let Some(cli::Command::Trace(typed)) = cli.command else {
            panic!("not a trace");
        };
        Trace::new(typed, verbosity)
    }

    fn complaint(arguments: &[&str]) -> String {
        let failure = trace(arguments).unwrap_err();
        assert!(matches!(failure, Failure::Usage(_)));
        failure.to_string()
    }

    #[test]
    fn has_defaults_for_everything() {
        let trace = trace(&[]).unwrap();
        assert_eq!(trace.duration, None);
        assert_eq!(trace.interval, Duration::from_secs(1));
        assert_eq!(trace.slow, Duration::from_millis(10));
        assert_eq!(trace.report.output, Destination::Stdout);
        assert!(trace.host_root.is_own());
        assert_eq!(trace.verbosity, Verbosity::Normal);
    }

    #[test]
    fn a_terminal_gets_what_a_person_or_a_program_can_use() {
        let file = |extension| Destination::InMemory { extension };
        let (normal, quiet) = (Verbosity::Normal, Verbosity::Quiet);
        let cases: [(&[&str], bool, Destination, Verbosity, bool); 9] = [
            (&[], true, file("json"), normal, true),
            (&[], false, file("json"), normal, true),
            (&["-q"], true, Destination::Stdout, quiet, true),
            (
                &["--format", "json"],
                true,
                Destination::Stdout,
                quiet,
                true,
            ),
            (
                &["--format", "json"],
                false,
                Destination::Stdout,
                normal,
                true,
            ),
            (&["--output", "-"], true, Destination::Stdout, quiet, true),
            (
                &["--format", "text"],
                true,
                Destination::Stdout,
                normal,
                false,
            ),
            (&["--format", "html"], true, file("html"), normal, true),
            (
                &["--output", "a"],
                true,
                Destination::File("a".into()),
                normal,
                true,
            ),
        ];
        for (arguments, same, output, verbosity, summary) in cases {
            let piped = trace(arguments).unwrap();
            let mut shown = piped.clone();
            shown
                .report
                .suit(Terminals { stdout: true, same }, &mut shown.verbosity);
            let found = (shown.report.output, shown.verbosity, shown.report.summary);
            assert_eq!(found, (output, verbosity, summary), "{arguments:?} {same}");
            let mut unchanged = piped.clone();
            unchanged
                .report
                .suit(Terminals::default(), &mut unchanged.verbosity);
            assert_eq!(unchanged.report, piped.report);
        }
    }

    #[test]
    fn a_recorder_s_memory_is_a_size() {
        assert_eq!(size("48MiB"), Some(48 << 20));
        assert_eq!(size(" 1 GiB"), Some(1 << 30));
        for text in [
            "48",
            "0MiB",
            "-1MiB",
            "MiB",
            "48MB",
            "99999999999999999999GiB",
        ] {
            assert_eq!(size(text), None, "{text}");
        }
    }

    #[test]
    fn takes_times_as_people_write_them() {
        let time = |text| trace(&["--duration", text]).unwrap().duration.unwrap();
        assert_eq!(time("60s"), Duration::from_secs(60));
        assert_eq!(time("2m30s"), Duration::from_secs(150));
        assert_eq!(time("500ms"), Duration::from_millis(500));
        assert_eq!(time("24h"), DAY);
        assert_eq!(time("1m 30s"), Duration::from_secs(90));
    }

    #[test]
    fn each_wrong_time_gets_its_own_sentence() {
        let cases = [
            ("0s", "is zero"),
            ("-5s", "is negative"),
            ("-5", "is negative"),
            ("60", "has no unit: write 60s"),
            ("1.5", "has no unit"),
            ("25h", "is too long: give at most 1day"),
            ("99999999999999999999s", "is too long"),
            ("1ms", "is too short: give at least 100ms"),
            ("", "is not a time"),
            ("soon", "is not a time"),
            ("5 bananas", "is not a time"),
            ("--interval", "is not a time"),
            ("NaN", "has no unit"),
        ];
        for (text, sentence) in cases {
            let complaint = complaint(&["--duration", text]);
            assert!(complaint.contains(sentence), "{text}: {complaint}");
        }
    }

    /// Whoever does what the hint says gets what was meant.
    #[test]
    fn a_number_without_a_unit_is_told_the_unit_of_its_option() {
        let cases = [
            ("--duration", "60", "60s"),
            ("--slow", "10", "10ms"),
            ("--interval", "1", "1s"),
            ("--interval", "500", "500ms"),
        ];
        for (option, number, hint) in cases {
            let complaint = complaint(&[option, number]);
            assert!(complaint.ends_with(&format!("write {hint}")), "{complaint}");
            assert!(trace(&[option, hint]).is_ok(), "{hint}");
        }
    }

    #[test]
    fn the_interval_fits_the_duration() {
        let short = trace(&["--duration", "300ms"]).unwrap();
        assert_eq!(short.interval, Duration::from_millis(300));
        let complaint = complaint(&["--duration", "2s", "--interval", "3s"]);
        assert!(complaint.contains("longer than --duration"));
        assert_eq!(
            trace(&["--interval", "3s"]).unwrap().interval,
            Duration::from_secs(3)
        );
    }

    #[test]
    fn stdout_and_a_file_take_one_document_each() {
        assert!(complaint(&["--capture", "-"]).contains("needs a file"));
        assert!(complaint(&["--capture", "a", "--output", "a"]).contains("the same file"));
        assert!(trace(&["--capture", "a", "--output", "b"]).is_ok());
    }

    #[test]
    fn the_hosts_root_has_a_proc() {
        let complaint = complaint(&["--host-root", "/usr"]);
        assert!(complaint.contains("--host-root /usr has no /proc"));
    }

    #[test]
    fn finds_disks_once_each() {
        let mut trace = trace(&["--device", "no-such-disk"]).unwrap();
        let failure = trace.find_disks().unwrap_err();
        assert!(matches!(failure, Failure::Device(_)));
        let fixture = Fixture::new();
        fixture.file("sys/block/sda/dev", "8:0\n");
        trace.host_root = fixture.root();
        trace.devices = ["sda", "8:0"].map(str::to_owned).into();
        trace.find_disks().unwrap();
        assert_eq!(trace.disks.len(), 1);
    }
}
