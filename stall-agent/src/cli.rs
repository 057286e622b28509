//! What was typed. What it means is [`crate::config`]'s.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::failure;

/// Says which process caused the disk latency of the VMs on this host.
///
/// It counts and times every disk request in the kernel for a while, notes which threads are blocked
/// and why, and says who made whom wait, with the evidence beside it. stdout is one JSON document;
/// people get a summary on stderr.
#[derive(Debug, Parser)]
#[command(
    name = "stall-agent",
    version = env!("STALL_AGENT_VERSION"),
    after_long_help = after_help(),
    after_help = "Run it with --help for examples and exit codes.",
    max_term_width = 100
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Say more: check lists what is fine, too; trace passes on what the programs in the kernel say
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Say nothing on stderr but what went wrong
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trace this host's disks and report
    Trace(Trace),
    /// What report --format json does, for scripts that were written when it was a command of its own
    #[command(hide = true)]
    Analyze(Analyze),
    /// Show a saved report or capture: as text, as a page for a browser, or as JSON; needs no root
    Report(Show),
    /// Compare two reports, before and after something was stopped; needs no root
    Compare(Compare),
    /// Print the JSON Schema of the report, or of a comparison
    Schema {
        /// Of which document
        #[arg(value_enum, default_value_t = Schema::Report)]
        document: Schema,
    },
    /// Say whether this host can be traced, and what would be missing
    Check(Check),
    /// Print the completions for a shell
    Completions {
        /// Whose completions
        shell: clap_complete::Shell,
    },
    /// Print the manual page, for man -l
    Man,
    /// Say what a word means: await, noisy neighbor, p99; or a field, a value, a rule
    Explain {
        /// A word (queue depth), a field (exposed_slow_ops), a path (devices[].queue.depth), a type or a rule (J5)
        #[arg(required = true)]
        term: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct Trace {
    /// How long, as 60s or 2m30s; without it until Ctrl-C
    #[arg(short, long, value_name = "TIME", allow_hyphen_values = true)]
    pub duration: Option<String>,
    /// From one snapshot to the next [default: 1s]
    #[arg(short, long, value_name = "TIME", allow_hyphen_values = true)]
    pub interval: Option<String>,
    /// Trace this disk only: a name (sda), a node (/dev/sda), a number (8:0), or any path on a
    /// mounted filesystem; a partition means its disk; may be given more than once
    #[arg(long, value_name = "DEVICE")]
    pub device: Vec<String>,
    /// From which latency on a request is slow [default: 10ms]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub slow: Option<String>,
    #[command(flatten)]
    pub report: Report,
    /// How to write the report [default: json; on a terminal it shows the summary, and saves the JSON to a file in memory]
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
    /// Save all that was observed to this file, too; a report of more than a few minutes may be too small to carry it
    #[arg(long, value_name = "FILE")]
    pub capture: Option<PathBuf>,
    /// Show on the terminal what there is so far: disks, discards, blocked tasks, the verdict as it
    /// stands; q ends the trace and writes the report
    #[arg(long)]
    pub live: bool,
    #[command(flatten)]
    pub host: Host,
}

#[derive(Debug, Args)]
pub struct Analyze {
    /// File saved by trace --capture, or a report that carries one; - is stdin
    pub capture: PathBuf,
    #[command(flatten)]
    pub report: Report,
    /// How to write the report [default: json; text on a terminal]
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
}

#[derive(Debug, Args)]
pub struct Show {
    /// A report, or a capture, which is judged first; gzip is understood; - is stdin
    pub file: PathBuf,
    /// Write it to this file, whole or not at all; - is stdout
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// How to write it
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    /// Only the summary, which trace shows at its end
    #[arg(long, conflicts_with = "format")]
    pub summary: bool,
    /// The same as --format html
    #[arg(long, hide = true, conflicts_with = "format")]
    pub html: bool,
    /// Let the exit code tell the verdict
    #[arg(long)]
    pub exit_code: bool,
}

#[derive(Debug, Args)]
pub struct Compare {
    /// Report or capture of a trace while the cause was there; - is stdin
    pub before: PathBuf,
    /// The same after it was stopped; - is stdin
    pub after: PathBuf,
    #[command(flatten)]
    pub report: Report,
    /// As JSON for programs, or as text for people [default: json; text on a terminal]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

#[derive(Debug, Args)]
pub struct Report {
    /// Write to this file, whole or not at all; - is stdout
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Indent the JSON
    #[arg(long)]
    pub pretty: bool,
    /// Let the exit code tell the verdict
    #[arg(long)]
    pub exit_code: bool,
}

#[derive(Debug, Args)]
pub struct Check {
    /// How to say it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    #[command(flatten)]
    pub host: Host,
}

#[derive(Debug, Args)]
pub struct Host {
    /// Where the host's / is, when this is run in a container
    #[arg(long = "host-root", value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// Formats of a report; what each is for is in `docs/formats.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people, on a terminal
    Text,
    /// All of it, for programs
    Json,
    /// One page with pictures, for a browser
    Html,
    /// Ten lines for a chat or a ticket
    Markdown,
    /// The answer in one line of JSON below 8 KiB, for logs and webhooks
    Event,
    /// One line, and the exit codes of a Nagios plugin: 0, 1, 2, 3
    OneLine,
    /// At most 80 bytes, and the exit codes that node-problem-detector takes: 0, 1, 2
    NodeProblem,
    /// An annotation of GitHub Actions
    Github,
    /// An Event of Kubernetes as YAML, for kubectl create -f -
    K8sEvent,
    /// A log record for an OpenTelemetry collector, in its JSON lines
    OtlpJsonl,
}

/// Documents with a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Schema {
    Report,
    Comparison,
}

fn after_help() -> String {
    format!("{EXAMPLES}\nExit codes:\n{}", failure::table())
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  A minute of everything; the summary is shown, the report saved:
      stall-agent trace --duration 60s
  The same for a program, and for a file of your choice:
      stall-agent trace --duration 60s | jq .verdict
      stall-agent trace --duration 60s --output /run/stall.json
  Watch while it traces; q ends it:
      stall-agent trace --live --duration 60s --output /run/stall.json
  Only the disk under a directory, until Ctrl-C:
      stall-agent trace --device /var/lib/harvester/defaultdisk > /run/stall.json
  For a script: is anything stalled, and by whom?
      stall-agent trace --duration 30s --quiet --exit-code > /run/stall.json
  Read a report:
      stall-agent report /run/stall.json | less
  The same with pictures, for a browser or a mail:
      stall-agent report /run/stall.json --format html --output stall.html
  Stop what is suspected, trace again, and compare:
      stall-agent compare before.json after.json
  Tell others: ten lines for a chat or a ticket, or one line of JSON for a log:
      stall-agent report /run/stall.json --format markdown
      stall-agent report /run/stall.json --format event
  What does a word mean?
      stall-agent explain noisy neighbor
  Can this host be traced?
      stall-agent check
Keep the files off the disk that is slow: /run is in memory.
";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_duration_may_look_like_an_option() {
        let cli = Cli::try_parse_from(["stall-agent", "trace", "--duration", "-5s"]).unwrap();
        let Some(Command::Trace(trace)) = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(trace.duration.as_deref(), Some("-5s"));
    }

    #[test]
    fn two_files_are_compared() {
        let cli = Cli::try_parse_from(["stall-agent", "compare", "before", "-", "--exit-code"]);
        let Some(Command::Compare(compare)) = cli.unwrap().command else {
            panic!("not a comparison");
        };
        assert_eq!(compare.format, None);
        assert_eq!(compare.after, PathBuf::from("-"));
        assert!(compare.report.exit_code);
        assert!(Cli::try_parse_from(["stall-agent", "compare", "before"]).is_err());
    }

    #[test]
    fn help_names_every_exit_code() {
        let help = Cli::command().render_long_help().to_string();
        for (code, meaning) in failure::EXIT_CODES {
            assert!(help.contains(&format!("{code}  {meaning}")), "{code}");
        }
    }
}
