//! The commands: what was typed becomes what it means, is done, and its result is written.
//!
//! stdout takes the one document asked for; whatever fails is one sentence on stderr and an exit
//! code of [`stall_agent::failure`].

use std::ffi::OsStr;
use std::io::{self, IsTerminal as _};
use std::panic::{self, PanicHookInfo};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use clap::{CommandFactory as _, Parser as _};
use serde::Serialize;
use stall_agent::capture::{Capture, Packed};
use stall_agent::check;
use stall_agent::cli::{self, Cli, Command, Format, ReportFormat};
use stall_agent::comparison;
use stall_agent::completions;
use stall_agent::config::{self, Terminals};
use stall_agent::confine::{self, entry};
use stall_agent::delivery;
use stall_agent::explain;
use stall_agent::failure::{Failure, code, outcome_code, verdict_code};
use stall_agent::file;
use stall_agent::host;
use stall_agent::input::{self, Document, Input};
use stall_agent::manual;
use stall_agent::mistyped;
use stall_agent::output::{self, Destination, Folder, Kind, Output};
use stall_agent::prereq;
use stall_agent::progress::{self, Verbosity, sanitize, say};
use stall_agent::record::desk::MetricsFile;
use stall_agent::record::line::Line;
use stall_agent::record::list::{self, Wanted};
use stall_agent::record::lock::{self, Lock};
use stall_agent::record::notify::Notify;
use stall_agent::report::{Paint, Report};
use stall_agent::start_at::wait_until;
use stall_agent::trace::recording::{self, Keeping};
use stall_agent::{analysis, report, trace};

const REPORT: Kind = Kind {
    what: "the report",
    option: "output",
    keep: true,
};
/// For the host's own files to be read.
const WARM_WITHIN: Duration = Duration::from_secs(1);
/// For incidents that come.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);
/// A report that can be made again.
const AGAIN: Kind = Kind {
    keep: false,
    ..REPORT
};
const CAPTURE: Kind = Kind {
    what: "the capture",
    option: "capture",
    keep: true,
};

fn main() -> ExitCode {
    let started = Instant::now();
    // The one variable with a say in anything: the socket of who started this, to be told that it runs.
    let notify = std::env::var_os("NOTIFY_SOCKET");
    // SAFETY: nothing has started a thread yet.
    unsafe { entry::clear_environment() };
    panic::set_hook(Box::new(|panic| say(&fault(panic))));
    let done = panic::catch_unwind(|| run(started, notify.as_deref()));
    let code = done
        .unwrap_or(Err(Failure::Internal))
        .unwrap_or_else(|failure| {
            let mut said = sanitize(&failure.to_string());
            if matches!(failure, Failure::Usage(_)) {
                said.push_str(&format!("; see {}", mistyped::help(&words())));
            }
            say(&format!("stall-agent: {said}"));
            failure.exit_code()
        });
    output::messages::end();
    ExitCode::from(code)
}

/// A panic in one line, without the backtrace: to find names for it, the program would be read from its disk.
fn fault(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location();
    let place = place.map_or(String::new(), |it| {
        format!(" at {}:{}", it.file(), it.line())
    });
    let payload = panic.payload();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = sanitize(text.unwrap_or("no message"));
    format!("stall-agent: internal error{place}: {text}")
}

fn run(started: Instant, notify: Option<&OsStr>) -> Result<u8, Failure> {
    entry::refuse_borrowed_rights()?;
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => {
            return Err(Failure::Usage(mistyped::problem(&error, &words())));
        }
        Err(help) => return print("the help", &help.render().to_string()),
    };
    let verbosity = config::verbosity(&cli);
    let Some(command) = cli.command else {
        say(&Cli::command().render_help().to_string());
        return Ok(code::USAGE);
    };
    match command {
        Command::Trace(typed) => run_trace(config::Trace::new(typed, verbosity)?, started),
        Command::Analyze(typed) => run_analyze(typed, verbosity),
        Command::Record(typed) => {
            run_record(config::Record::new(typed, verbosity)?, started, notify)
        }
        Command::Incidents(typed) => run_incidents(typed, verbosity),
        Command::Cut(typed) => lock::ask(&typed.directory.path).map(|()| 0),
        Command::Report(typed) => run_report(typed, verbosity),
        Command::Compare(typed) => run_compare(typed, verbosity),
        Command::Schema { document } => write_json("the schema", &schema(document), true),
        Command::Check(typed) => run_check(&typed, verbosity),
        Command::Completions { shell } => print("the completions", &completions::script(shell)),
        Command::Man => man(),
        Command::Explain { term } => explained(&term.join(" ")),
    }
}

/// What was typed after the program's name.
fn words() -> Vec<String> {
    let words = std::env::args_os().skip(1);
    words
        .map(|word| word.to_string_lossy().into_owned())
        .collect()
}

/// Everything that can be wrong is looked at before the first hook is attached.
fn run_trace(mut config: config::Trace, started: Instant) -> Result<u8, Failure> {
    prereq::demand(&config.host_root)?;
    let terminals = Terminals::look();
    config.report.suit(terminals, &mut config.verbosity);
    if let Err(error) = output::messages::apart() {
        say(&format!(
            "stall-agent: cannot fork the writer for stderr ({}): if stderr is a file on a disk that hangs, so will the agent",
            file::reason(&error)
        ));
    }
    warn_missing_capabilities(config.verbosity);
    config.find_disks()?;
    let report = Output::prepare(config.report.output.clone(), REPORT)?;
    let saved = config.capture.clone().map(Destination::File);
    let saved = saved
        .map(|file| Output::prepare(file, CAPTURE))
        .transpose()?;
    warm(&config);
    let within = trace::Embedding {
        confine: true,
        before: &mut |_| {},
        limits: &[],
    };
    let started = begin_together(&config).unwrap_or(started);
    let capture = trace::run(&config, started, within)?;
    delivery::deliver(&capture, saved.as_ref(), |capture| {
        let judged = judged(capture, config.report.format);
        let is_json = config.report.format == ReportFormat::Json;
        if is_json
            && judged.capture.is_none()
            && saved.is_none()
            && config.verbosity != Verbosity::Quiet
        {
            say(
                "stall-agent: the capture is too large for the report to carry: to compare runs of this length, add --capture FILE",
            );
        }
        give(&judged, &report, &config.report, config.verbosity)
    })
}

/// Waits for the moment to begin; afterwards the time that attaching takes counts from there.
fn begin_together(config: &config::Trace) -> Option<Instant> {
    let moment = config.start_at?.moment(SystemTime::now());
    if config.verbosity != Verbosity::Quiet {
        let text = humantime::format_rfc3339_seconds(moment);
        say(&format!("stall-agent: the trace begins at {text}"));
    }
    wait_until(moment);
    Some(Instant::now())
}

/// Everything that can be wrong but for the memory is looked at before the first hook is attached.
fn run_record(
    mut config: config::Record,
    started: Instant,
    notify: Option<&OsStr>,
) -> Result<u8, Failure> {
    prereq::demand(&config.trace.host_root)?;
    let directory = config.directory.clone();
    let unwritable = |error: io::Error| Failure::OutputUnwritable {
        option: "dir",
        path: directory.clone(),
        reason: file::reason(&error),
    };
    let _lock = Lock::take(&directory)?;
    let book = recording::earlier(&directory).map_err(unwritable)?;
    if output::messages::apart().is_err() {
        say("stall-agent: no process for messages: a disk that hangs below stderr will hang it");
    }
    warn_missing_capabilities(config.trace.verbosity);
    config.trace.find_disks()?;
    let folder = Folder::open(&directory).map_err(unwritable)?;
    let metrics = config.metrics.as_deref().map(metrics_file).transpose()?;
    warm(&config.trace);
    let keeping = Keeping {
        folder,
        book,
        metrics,
    };
    recording::record(&config, started, keeping, &Notify::to(notify))?;
    Ok(0)
}

fn metrics_file(path: &Path) -> Result<MetricsFile, Failure> {
    let unwritable = |reason: String| Failure::OutputUnwritable {
        option: "metrics",
        path: path.to_owned(),
        reason,
    };
    let name = path.file_name().and_then(OsStr::to_str);
    let name = name.ok_or_else(|| unwritable("it names no file".to_owned()))?;
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let folder = Folder::open(directory.unwrap_or(Path::new(".")));
    Ok(MetricsFile {
        folder: folder.map_err(|error| unwritable(file::reason(&error)))?,
        name: name.to_owned(),
    })
}

/// Which incidents there are, or one of them.
fn run_incidents(typed: cli::Incidents, verbosity: Verbosity) -> Result<u8, Failure> {
    let directory = typed.directory.path;
    if let Some(id) = typed.id {
        let show = cli::Show {
            files: vec![directory.join(format!("{id}.json"))],
            output: "-".into(),
            format: typed.format,
            html: false,
            summary: false,
            exit_code: false,
        };
        return run_report(show, verbosity);
    }
    let since = typed.since.map(|text| {
        let moment = list::moment(&text, SystemTime::now());
        moment.map_err(|problem| Failure::Usage(format!("--since {text} {problem}")))
    });
    let wanted = Wanted {
        since: since.transpose()?,
        vm: typed.vm,
    };
    let mut told = Vec::new();
    loop {
        let book = recording::earlier(&directory).map_err(|error| {
            Failure::Other(format!(
                "the incidents in {} cannot be read ({}): do it as the user that records",
                directory.display(),
                file::reason(&error)
            ))
        })?;
        let is_new = |line: &&Line| wanted.is(line) && !told.contains(*line);
        let lines: Vec<&Line> = book.lines().iter().filter(is_new).collect();
        if !(typed.follow && lines.is_empty()) {
            let text = if typed.json {
                list::json(&lines)
            } else {
                sanitize_lines(&list::text(&lines))
            };
            print("the list", &text)?;
        }
        if !typed.follow {
            return Ok(0);
        }
        told = book.lines().to_vec();
        std::thread::sleep(FOLLOW_EVERY);
    }
}

fn sanitize_lines(text: &str) -> String {
    let lines = text.lines().map(|line| sanitize(line) + "\n");
    lines.collect()
}

/// Has the host's own files read into memory by a process of its own: later the agent does not wait for their disk.
fn warm(config: &config::Trace) {
    let act = || host::warm::warm(&config.host_root);
    let is_done = output::errand(WARM_WITHIN, act);
    if !is_done.unwrap_or(false) && config.verbosity != Verbosity::Quiet {
        say(
            "stall-agent: reading this host's files took more than a second: names of pods and the trim's schedule may be missing",
        );
    }
}

/// What it does not have and can do without.
fn warn_missing_capabilities(verbosity: Verbosity) {
    if verbosity == Verbosity::Quiet {
        return;
    }
    for it in confine::lacking() {
        say(&format!(
            "stall-agent: without {} the report lacks {}",
            it.capability, it.lack
        ));
    }
}

fn run_analyze(typed: cli::Analyze, mut verbosity: Verbosity) -> Result<u8, Failure> {
    let mut config = config::Report::new(typed.report, typed.format);
    let terminals = Terminals::look();
    if terminals.stdout && !config.asked {
        config.format = ReportFormat::Text;
    }
    config.suit(terminals, &mut verbosity);
    let report = Output::prepare(config.output.clone(), AGAIN)?;
    let capture = input::read_capture(&typed.capture)?;
    give(
        &judged(&capture, config.format),
        &report,
        &config,
        verbosity,
    )
}

fn run_compare(typed: cli::Compare, verbosity: Verbosity) -> Result<u8, Failure> {
    if input::is_stdin(&typed.before) && input::is_stdin(&typed.after) {
        let problem = "both files are -, and there is one stdin: give a file for one of them";
        return Err(Failure::Usage(problem.to_owned()));
    }
    let config = typed.report;
    let destination = config.output.map_or(Destination::Stdout, Destination::new);
    let terminals = Terminals::look();
    let is_shown = terminals.stdout && destination == Destination::Stdout;
    let format = typed
        .format
        .unwrap_or(if is_shown { Format::Text } else { Format::Json });
    let kind = Kind {
        what: "the comparison",
        ..AGAIN
    };
    let output = Output::prepare(destination, kind)?;
    let before = input::read_capture(&typed.before)?;
    let comparison = comparison::compare(&before, &input::read_capture(&typed.after)?);
    let text = comparison::text(&comparison);
    let as_text = |writer: &mut dyn io::Write| writer.write_all(text.as_bytes());
    match format {
        Format::Text => output.write(&as_text)?,
        Format::Json => output.write(&output::json(&comparison, config.pretty))?,
    }
    let is_apart = format == Format::Json && !(is_shown && terminals.same);
    if is_apart && verbosity != Verbosity::Quiet {
        say(&text);
    }
    Ok(if config.exit_code {
        outcome_code(comparison.verdict.kind)
    } else {
        0
    })
}

fn schema(document: cli::Schema) -> serde_json::Value {
    match document {
        cli::Schema::Report => report::schema(),
        cli::Schema::Comparison => comparison::schema(),
    }
}

/// The report of a capture. As JSON it carries the capture, so that one file does for everything; Perfetto is given all of it.
fn judged(capture: &Capture, format: ReportFormat) -> Report {
    let mut report = analysis::analyze(capture);
    if matches!(format, ReportFormat::Json | ReportFormat::Perfetto) {
        report.capture = Packed::new(capture);
    }
    report
}

/// Writes the report, and tells people what it says.
fn give(
    report: &Report,
    output: &Output,
    config: &config::Report,
    verbosity: Verbosity,
) -> Result<u8, Failure> {
    let written = write_report(report, output, config.format, config.pretty);
    if config.summary && verbosity != Verbosity::Quiet {
        let file = output.file().filter(|_| written.is_ok());
        let file = file.map(|path| path.display().to_string());
        let cells = progress::cells(io::stderr());
        say(&report::summary_within(report, file.as_deref(), cells));
    }
    written?;
    Ok(exit_code(report, config.format, config.exit_code))
}

/// What watches by exit codes gets its own.
fn exit_code(report: &Report, format: ReportFormat, asked: bool) -> u8 {
    match format {
        ReportFormat::OneLine => report::nagios_code(report),
        ReportFormat::NodeProblem => report::node_problem_code(report),
        _ if asked => verdict_code(report.verdict.kind),
        _ => 0,
    }
}

fn write_report(
    report: &Report,
    output: &Output,
    format: ReportFormat,
    pretty: bool,
) -> Result<(), Failure> {
    let document = match format {
        ReportFormat::Json => return output.write(&output::json(report, pretty)),
        ReportFormat::Text => sheet(report, output.file().is_none()),
        ReportFormat::Html => report::page(report),
        ReportFormat::Markdown => report::markdown(report),
        ReportFormat::Event => report::event(report),
        ReportFormat::OneLine => report::one_line(report),
        ReportFormat::NodeProblem => report::node_problem(report),
        ReportFormat::Github => report::github(report),
        ReportFormat::K8sEvent => report::k8s_event(report),
        ReportFormat::OtlpJsonl => report::otlp(report),
        ReportFormat::Perfetto => {
            let bytes = report::perfetto(report);
            return output.write(&|writer: &mut dyn io::Write| writer.write_all(&bytes));
        }
    };
    output.write(&text(document))
}

/// As wide as the terminal, where it goes to one.
fn sheet(report: &Report, is_stdout: bool) -> String {
    let cells = if is_stdout {
        progress::cells(io::stdout())
    } else {
        0
    };
    report::sheet_within(report, paint(is_stdout), cells)
}

/// A report as it was written, or that of a capture.
fn run_report(typed: cli::Show, verbosity: Verbosity) -> Result<u8, Failure> {
    let format = if typed.html {
        ReportFormat::Html
    } else {
        typed.format
    };
    match show(typed, format, verbosity) {
        // A check of Nagios that fails knows nothing; other codes mean something else to it.
        Err(failure) if format == ReportFormat::OneLine => {
            say(&format!("stall-agent: {}", sanitize(&failure.to_string())));
            Ok(report::NAGIOS_UNKNOWN)
        }
        shown => shown,
    }
}

fn show(typed: cli::Show, format: ReportFormat, verbosity: Verbosity) -> Result<u8, Failure> {
    let [file] = typed.files.as_slice() else {
        return show_joined(typed, format, verbosity);
    };
    let mut destination = Destination::new(typed.output);
    let is_shown = destination == Destination::Stdout && Terminals::look().stdout;
    let extension = match format {
        ReportFormat::Html => Some("html"),
        ReportFormat::Perfetto => Some("pftrace"),
        _ => None,
    };
    if let Some(extension) = extension.filter(|_| is_shown) {
        destination = Destination::File(beside(file, extension)?);
    }
    let output = Output::prepare(destination, AGAIN)?;
    let report = read_report(file, format, verbosity)?;
    if typed.summary {
        let name = Some(file.display().to_string()).filter(|_| !input::is_stdin(file));
        let cells = progress::cells(io::stdout());
        let summary = report::summary_within(&report, name.as_deref(), cells);
        output.write(&text(summary))?;
    } else {
        write_report(&report, &output, format, true)?;
    }
    if is_shown
        && verbosity != Verbosity::Quiet
        && let Some(path) = output.file()
    {
        let what = if format == ReportFormat::Html {
            "page"
        } else {
            "trace"
        };
        say(&format!("the {what} is in {}", path.display()));
    }
    Ok(exit_code(&report, format, typed.exit_code))
}

fn read_report(file: &Path, format: ReportFormat, verbosity: Verbosity) -> Result<Report, Failure> {
    let input = input::read(file)?;
    if verbosity != Verbosity::Quiet && !input.differences.is_empty() {
        say(&differences(file, &input));
    }
    Ok(match input.document {
        Document::Report(report) => *report,
        Document::Capture(capture) => judged(&capture, format),
    })
}

/// Reports of several nodes.
fn show_joined(
    typed: cli::Show,
    format: ReportFormat,
    verbosity: Verbosity,
) -> Result<u8, Failure> {
    let problem = match format {
        _ if typed.summary => "several reports have no --summary of their own: leave it out",
        _ if typed.exit_code => {
            "several reports have no exit code of their own: leave --exit-code out"
        }
        ReportFormat::Text | ReportFormat::Json => "",
        _ => "several reports are joined as text or json: give one file for other formats",
    };
    if !problem.is_empty() {
        return Err(Failure::Usage(problem.to_owned()));
    }
    if typed
        .files
        .iter()
        .filter(|file| input::is_stdin(file))
        .count()
        > 1
    {
        let problem = "more than one file is -, and there is one stdin: give files for the others";
        return Err(Failure::Usage(problem.to_owned()));
    }
    let output = Output::prepare(Destination::new(typed.output), AGAIN)?;
    let reports = typed.files.iter().map(|file| {
        let report = read_report(file, ReportFormat::Text, verbosity)?;
        Ok((file.display().to_string(), report))
    });
    let reports: Vec<(String, Report)> = reports.collect::<Result<_, Failure>>()?;
    let joined = report::join(&reports);
    if format == ReportFormat::Json {
        output.write(&output::json(&joined, true))?;
    } else {
        let cells = output
            .file()
            .map_or_else(|| progress::cells(io::stdout()), |_| 0);
        output.write(&text(report::joined_text(&joined, cells)))?;
    }
    Ok(0)
}

/// Where what a terminal cannot show goes: beside nobody's file.
fn beside(file: &Path, extension: &str) -> Result<PathBuf, Failure> {
    let stem = file.file_stem().filter(|_| !input::is_stdin(file));
    let page = Path::new(stem.unwrap_or("stall".as_ref())).with_extension(extension);
    if page.symlink_metadata().is_ok() {
        return Err(Failure::OutputUnwritable {
            option: "output",
            path: page,
            reason: "it exists".to_owned(),
        });
    }
    Ok(page)
}

fn differences(file: &Path, input: &Input) -> String {
    let by = input.made_by.as_ref();
    let by = by.map_or(String::new(), |by| format!(" of stall-agent {by}"));
    format!("stall-agent: {}{by}: {}", file.display(), input.differences)
}

fn text(text: String) -> impl output::Document {
    move |writer: &mut dyn io::Write| writer.write_all(text.as_bytes())
}

/// Colour is for a terminal, unless its user does not want it (no-color.org) or it cannot.
fn paint(is_stdout: bool) -> Paint {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let unable = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    if is_stdout && io::stdout().is_terminal() && !unwanted && !unable {
        Paint::Colour
    } else {
        Paint::Plain
    }
}

fn run_check(typed: &cli::Check, verbosity: Verbosity) -> Result<u8, Failure> {
    let answer = check::check(&config::host_root(&typed.host)?);
    match typed.format {
        Format::Text if verbosity == Verbosity::Verbose => print("the answer", &answer.all())?,
        Format::Text => print("the answer", &answer.text())?,
        Format::Json => write_json("the answer", &answer, true)?,
    };
    Ok(answer.exit_code())
}

fn man() -> Result<u8, Failure> {
    let page = manual::page().map_err(|error| Failure::Other(error.to_string()))?;
    print("the manual page", &String::from_utf8_lossy(&page))
}

fn explained(term: &str) -> Result<u8, Failure> {
    let text = explain::explain(term).map_err(Failure::Usage)?;
    print("the explanation", &text)
}

fn print(what: &'static str, text: &str) -> Result<u8, Failure> {
    write(what, &|writer: &mut dyn io::Write| {
        writer.write_all(text.as_bytes())
    })
}

fn write_json(what: &'static str, value: &impl Serialize, pretty: bool) -> Result<u8, Failure> {
    write(what, &output::json(value, pretty))
}

/// Writes to stdout what can be had again.
fn write(what: &'static str, document: &impl output::Document) -> Result<u8, Failure> {
    let kind = Kind {
        what,
        option: "output",
        keep: false,
    };
    Output::prepare(Destination::Stdout, kind)?.write(document)?;
    Ok(0)
}
