//! What was typed. What it means is [`crate::config`]'s.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::failure;

/// Says which process caused the disk latency of the VMs on this host.
///
/// It traces every disk request and every blocked thread in the kernel, and reports who delayed
/// whom, with the evidence. stdout gets one JSON document, stderr a summary for people.
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
    /// Show more: check also lists what is fine, trace passes on messages of the BPF programs
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Only print errors to stderr
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Trace this host's disks and write a report
    Trace(Trace),
    /// Record for weeks in bounded memory; save what was before, during and after each stall
    Record(Record),
    /// List the incidents that the recorder saved, or show one
    Incidents(Incidents),
    /// Ask the recorder for an incident now: from 2 minutes before to 1 minute after
    Cut(Cut),
    /// The same as report --format json, kept for existing scripts
    #[command(hide = true)]
    Analyze(Analyze),
    /// Render a saved report or capture; needs no root
    Report(Show),
    /// Compare two reports, from before and after a suspect was stopped; needs no root
    Compare(Compare),
    /// Print the JSON Schema of a report or comparison
    Schema {
        /// Document to print the schema of
        #[arg(value_enum, default_value_t = Schema::Report)]
        document: Schema,
    },
    /// Check whether this host can be traced, and what a report would lack
    Check(Check),
    /// Print shell completions
    Completions {
        /// Shell to print them for
        shell: clap_complete::Shell,
    },
    /// Print the manual page (stall-agent man | man -l -)
    Man,
    /// Explain a term, such as await, noisy neighbor or p99; or a field, value or rule of a report
    Explain {
        /// A term (queue depth), field (exposed_slow_ops), path (devices[].queue.depth), type or rule (J5)
        #[arg(required = true)]
        term: Vec<String>,
    },
}

#[derive(Debug, Args)]
pub struct Trace {
    /// Trace duration, for example 60s or 2m30s [default: until Ctrl-C]
    #[arg(short, long, value_name = "TIME", allow_hyphen_values = true)]
    pub duration: Option<String>,
    /// Start with other nodes: /10s at the next full ten seconds of the clock, or a time such as
    /// 2026-11-30T20:00:00Z [default: at once]
    #[arg(long, value_name = "WHEN", allow_hyphen_values = true)]
    pub start_at: Option<String>,
    /// Snapshot interval [default: 1s]
    #[arg(short, long, value_name = "TIME", allow_hyphen_values = true)]
    pub interval: Option<String>,
    /// Trace only this disk: a name (sda), a node (/dev/sda), a number (8:0), or any path on a
    /// mounted filesystem; a partition selects its disk; repeat it for several disks
    #[arg(long, value_name = "DEVICE")]
    pub device: Vec<String>,
    /// Latency threshold for slow requests [default: 10ms; 50ms on a disk with platters]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub slow: Option<String>,
    #[command(flatten)]
    pub report: Report,
    /// Output format [default: json; on a terminal, show the summary and save the JSON to a file in memory]
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
    /// Also save everything observed to FILE; reports of long traces do not carry it
    #[arg(long, value_name = "FILE")]
    pub capture: Option<PathBuf>,
    /// Show disks, discards, blocked tasks and the verdict so far on the terminal; q ends the
    /// trace and writes the report
    #[arg(long)]
    pub live: bool,
    #[command(flatten)]
    pub host: Host,
}

#[derive(Debug, Args)]
pub struct Record {
    #[command(flatten)]
    pub directory: Directory,
    /// Memory the process may lock; more holds more of the last hour [default: 48MiB]
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Write counters for Prometheus to this file every 15 s: a .prom in the directory of node_exporter's text files
    #[arg(long, value_name = "FILE")]
    pub metrics: Option<PathBuf>,
    /// Record this disk only: as for trace; may be given more than once
    #[arg(long, value_name = "DEVICE")]
    pub device: Vec<String>,
    /// Latency threshold for slow requests [default: 10ms]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub slow: Option<String>,
    #[command(flatten)]
    pub host: Host,
}

#[derive(Debug, Args)]
pub struct Incidents {
    /// Show this one, as report does; without it all are listed
    #[arg(value_name = "ID", conflicts_with_all = ["json", "since", "vm", "follow"])]
    pub id: Option<String>,
    #[command(flatten)]
    pub directory: Directory,
    /// One JSON object a line, for programs
    #[arg(long)]
    pub json: bool,
    /// Those that ended since: 2h, 2026-11-30, or 2026-11-30T15:30:00Z
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Those that this VM did or waited in: name or namespace/name
    #[arg(long, value_name = "VM")]
    pub vm: Option<String>,
    /// Go on with those that come, until Ctrl-C
    #[arg(long)]
    pub follow: bool,
    /// How to show one
    #[arg(long, value_enum, default_value_t = ReportFormat::Text, requires = "id")]
    pub format: ReportFormat,
}

#[derive(Debug, Args)]
pub struct Cut {
    #[command(flatten)]
    pub directory: Directory,
}

#[derive(Debug, Args)]
pub struct Directory {
    /// Where incidents are kept, in memory
    #[arg(
        long = "dir",
        value_name = "DIR",
        default_value = "/run/stall-agent/incidents"
    )]
    pub path: PathBuf,
}

#[derive(Debug, Args)]
pub struct Analyze {
    /// Report, or capture saved by trace --capture (- for stdin)
    pub capture: PathBuf,
    #[command(flatten)]
    pub report: Report,
    /// Output format [default: json; text on a terminal]
    #[arg(long, value_enum)]
    pub format: Option<ReportFormat>,
}

#[derive(Debug, Args)]
pub struct Show {
    /// Report or capture, plain or gzip (- for stdin); reports of several nodes are joined: which replica
    /// on which node a volume waits for
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Write to FILE atomically (- for stdout)
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// Output format
    #[arg(long, value_enum, default_value_t = ReportFormat::Text)]
    pub format: ReportFormat,
    /// Only the summary that trace shows at its end
    #[arg(long, conflicts_with = "format")]
    pub summary: bool,
    /// The same as --format html
    #[arg(long, hide = true, conflicts_with = "format")]
    pub html: bool,
    /// Set the exit code by the verdict
    #[arg(long)]
    pub exit_code: bool,
}

#[derive(Debug, Args)]
pub struct Compare {
    /// Report or capture from while the suspect was active (- for stdin)
    pub before: PathBuf,
    /// Report or capture from after it was stopped (- for stdin)
    pub after: PathBuf,
    #[command(flatten)]
    pub report: Report,
    /// Output format [default: json; text on a terminal]
    #[arg(long, value_enum)]
    pub format: Option<Format>,
}

#[derive(Debug, Args)]
pub struct Report {
    /// Write the report to FILE atomically (- for stdout)
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Indent the JSON
    #[arg(long)]
    pub pretty: bool,
    /// Set the exit code by the verdict
    #[arg(long)]
    pub exit_code: bool,
}

#[derive(Debug, Args)]
pub struct Check {
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    #[command(flatten)]
    pub host: Host,
}

#[derive(Debug, Args)]
pub struct Host {
    /// Where the host's / is mounted, when run in a container
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
    /// A trace for ui.perfetto.dev: disks, blocked threads, and who delayed whom, over time
    Perfetto,
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
  Trace all disks for a minute; on a terminal, show the summary and save the report:
      stall-agent trace --duration 60s
  The same for a program, and into a file of your choice:
      stall-agent trace --duration 60s | jq .verdict
      stall-agent trace --duration 60s --output /run/stall.json
  Watch it live; q ends the trace:
      stall-agent trace --live --duration 60s --output /run/stall.json
  Trace only the disk under a directory, until Ctrl-C:
      stall-agent trace --device /var/lib/harvester/defaultdisk > /run/stall.json
  In a script: is anything stalled, and by whom?
      stall-agent trace --duration 30s --quiet --exit-code > /run/stall.json
  Read a report:
      stall-agent report /run/stall.json | less
  The same as an HTML page with charts:
      stall-agent report /run/stall.json --format html --output stall.html
  Trace the same seconds on each node, and join the reports:
      stall-agent trace --duration 60s --start-at /10s --output /run/stall.json
      stall-agent report node-a.json node-b.json node-c.json
  Stop the suspect, trace again, and compare:
      stall-agent compare before.json after.json
  Tell others: ten lines for a chat or ticket, or one line of JSON for a log:
      stall-agent report /run/stall.json --format markdown
      stall-agent report /run/stall.json --format event
  Record from now on; which incidents were there, and show one:
      stall-agent record
      stall-agent incidents
      stall-agent incidents 20261130T153024.120Z
  What does a term mean?
      stall-agent explain noisy neighbor
  Can this host be traced?
      stall-agent check
Keep these files off the slow disk: /run is in memory.
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
