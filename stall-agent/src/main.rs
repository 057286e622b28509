//! The commands: what was typed becomes what it means, is done, and its result is written.
//!
//! stdout takes the one document asked for; whatever fails is one sentence on stderr and an exit
//! code of [`stall_agent::failure`].

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{CommandFactory as _, Parser as _};
use serde::Serialize;
use stall_agent::capture::{Capture, ReadError};
use stall_agent::check;
use stall_agent::cli::{self, Cli, Command, Format};
use stall_agent::config;
use stall_agent::failure::{Failure, verdict_code};
use stall_agent::kernel::prereq;
use stall_agent::output::{self, Destination, Kind, Output};
use stall_agent::progress::{Verbosity, sanitize, say};
use stall_agent::{analysis, report, trace};

const REPORT: Kind = Kind {
    what: "the report",
    option: "output",
    keep: true,
};
const CAPTURE: Kind = Kind {
    what: "the capture",
    option: "capture",
    keep: true,
};

fn main() -> ExitCode {
    let code = run(Instant::now()).unwrap_or_else(|failure| {
        say(&format!("stall-agent: {}", sanitize(&failure.to_string())));
        failure.exit_code()
    });
    ExitCode::from(code)
}

fn run(started: Instant) -> Result<u8, Failure> {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() => return Err(mistyped(&error)),
        Err(help) => return print("the help", &help.render().to_string()),
    };
    let verbosity = config::verbosity(&cli);
    match cli.command {
        Command::Trace(typed) => run_trace(config::Trace::new(typed, verbosity)?, started),
        Command::Analyze(typed) => run_analyze(typed, verbosity),
        Command::Schema => write_json("the schema", &report::schema(), true),
        Command::Check(typed) => run_check(&typed),
        Command::Completions { shell } => completions(shell),
    }
}

/// Everything that can be wrong is looked at before the first hook is attached.
fn run_trace(mut config: config::Trace, started: Instant) -> Result<u8, Failure> {
    prereq::demand(&config.host_root)?;
    config.find_disks()?;
    let report = Output::prepare(config.report.output.clone(), REPORT)?;
    let saved = config.capture.clone().map(Destination::File);
    let saved = saved
        .map(|file| Output::prepare(file, CAPTURE))
        .transpose()?;
    let capture = trace::run(&config, started)?;
    let saved = saved.map_or(Ok(()), |output| {
        output.write(&output::json(&capture, false))
    });
    let code = give(&capture, &report, &config.report, config.verbosity);
    saved.and(code)
}

fn run_analyze(typed: cli::Analyze, verbosity: Verbosity) -> Result<u8, Failure> {
    let config = config::Report::from(typed.report);
    let kind = Kind {
        keep: false,
        ..REPORT
    };
    let report = Output::prepare(config.output.clone(), kind)?;
    let capture = read(&typed.capture)?;
    give(&capture, &report, &config, verbosity)
}

/// Judges a capture, writes the report, and tells people what it says.
fn give(
    capture: &Capture,
    output: &Output,
    config: &config::Report,
    verbosity: Verbosity,
) -> Result<u8, Failure> {
    let report = analysis::analyze(capture);
    let written = output.write(&output::json(&report, config.pretty));
    if verbosity != Verbosity::Quiet {
        let file = output.file().filter(|_| written.is_ok());
        let file = file.map(|path| path.display().to_string());
        say(&report::summary(&report, file.as_deref()));
    }
    written?;
    Ok(if config.exit_code {
        verdict_code(report.verdict.kind)
    } else {
        0
    })
}

fn read(path: &Path) -> Result<Capture, Failure> {
    let capture = if path == Path::new("-") {
        Capture::read(io::stdin().lock())
    } else {
        File::open(path)
            .map_err(ReadError::from)
            .and_then(Capture::read)
    };
    capture.map_err(|source| Failure::Capture {
        path: PathBuf::from(path),
        source,
    })
}

fn run_check(typed: &cli::Check) -> Result<u8, Failure> {
    let answer = check::check(&config::host_root(&typed.host)?);
    match typed.format {
        Format::Text => print("the answer", &answer.text())?,
        Format::Json => write_json("the answer", &answer, true)?,
    };
    Ok(answer.exit_code())
}

fn completions(shell: clap_complete::Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "stall-agent", &mut script);
    print("the completions", &String::from_utf8_lossy(&script))
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

/// clap tells the problem in its first paragraph, the rest is in the help.
fn mistyped(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    let problem = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<_> = problem.split_whitespace().collect();
    let sentence = words.join(" ");
    Failure::Usage(sentence.trim_start_matches("error: ").to_owned())
}
