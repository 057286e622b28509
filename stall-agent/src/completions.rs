//! The completions for a shell.

use clap::builder::PossibleValue;
use clap::{Arg, Command, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;

const NAME: &str = "stall-agent";

/// The script that makes a shell complete the program's commands, options and values, with what `clap_complete` gets wrong
/// put right.
///
/// For bash it looks for a command under one spelling of a name with a hyphen and writes it under another, so that nothing
/// below the first word is found (<https://github.com/clap-rs/clap/issues/6421>). For fish it leaves out the values of
/// arguments that are no options.
#[must_use]
pub fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), NAME, &mut script);
    let mut script =
        String::from_utf8_lossy(&script).replace("stall__subcmd__agent__", "stall__agent__");
    if shell == Shell::Fish {
        for command in Cli::command().get_subcommands() {
            script.push_str(&values(command));
        }
    }
    script
}

/// Lines of fish for the values of a command's arguments.
fn values(command: &Command) -> String {
    let line = |argument: &Arg| {
        let values = argument.get_possible_values();
        let values: Vec<&str> = values.iter().map(PossibleValue::get_name).collect();
        let line = format!(
            "complete -c {NAME} -n \"__fish_stall_agent_using_subcommand {}\" -f -a \"{}\"\n",
            command.get_name(),
            values.join(" ")
        );
        (!values.is_empty()).then_some(line)
    };
    command.get_positionals().filter_map(line).collect()
}
