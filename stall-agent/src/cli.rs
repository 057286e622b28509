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
    max_term_width = 100,
    arg_required_else_help = false,
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Say more on stderr, the kernel side's own messages included
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
    /// Report on a saved capture again; needs no root
    Analyze(Analyze),
    /// Print the JSON Schema of the report
    Schema,
    /// Say whether this host can be traced, and what would be missing
    Check(Check),
    /// Print the completions for a shell
    Completions {
        /// Whose completions
        shell: clap_complete::Shell,
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
    /// Save all that was observed to this file, too, for `analyze`
    #[arg(long, value_name = "FILE")]
    pub capture: Option<PathBuf>,
    #[command(flatten)]
    pub host: Host,
}

#[derive(Debug, Args)]
pub struct Analyze {
    /// File saved by trace --capture; - is stdin
    pub capture: PathBuf,
    #[command(flatten)]
    pub report: Report,
}

#[derive(Debug, Args)]
pub struct Report {
    /// Write the report to this file, whole or not at all; - is stdout
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
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

fn after_help() -> String {
    format!("{EXAMPLES}\nExit codes:\n{}", failure::table())
}

const EXAMPLES: &str = "\
Examples:
  A minute of everything, the report in a file:
      stall-agent trace --duration 60s --output /run/stall.json
  Only the disk under a directory, until Ctrl-C:
      stall-agent trace --device /var/lib/harvester/defaultdisk > /run/stall.json
  For a script: is anything stalled, and by whom?
      stall-agent trace --duration 30s --quiet --exit-code > /run/stall.json
  Save what was observed, and judge it elsewhere:
      stall-agent trace --duration 60s --capture /run/stall.capture > /run/stall.json
      stall-agent analyze stall.capture --pretty
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
        let Command::Trace(trace) = cli.command else {
            panic!("{cli:?}");
        };
        assert_eq!(trace.duration.as_deref(), Some("-5s"));
    }

    #[test]
    fn help_names_every_exit_code() {
        let help = Cli::command().render_long_help().to_string();
        for (code, meaning) in failure::EXIT_CODES {
            assert!(help.contains(&format!("{code}  {meaning}")), "{code}");
        }
    }
}
