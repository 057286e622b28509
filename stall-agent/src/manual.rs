//! The manual page, made of the command line's own definition: one page with all commands, examples, exit codes, files
//! and environment. What the definition does not have stands here.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::{self, Cli};
use crate::failure::EXIT_CODES;

const FILES: [(&str, &str); 5] = [
    (
        "/sys/kernel/btf/vmlinux",
        "type information of the kernel, which tracing needs",
    ),
    (
        "/proc, /sys, /dev, /run, /etc, /var/log, /oem",
        "names of processes, disks, VMs, volumes, pods and units, read below --host-root",
    ),
    (
        "/run",
        "a good place for reports and captures: it is in memory, not on the disk that is slow",
    ),
    (
        "/run/stall-HOST-TIME.json",
        "the report of a trace on a terminal without --output; in /dev/shm or /tmp where /run is not in memory",
    ),
    (
        "/oem/99_fstrim.yaml",
        "named in advice for Harvester; never written by this program",
    ),
];
const ENVIRONMENT: [(&str, &str); 3] = [
    (
        "NO_COLOR",
        "when it is not empty, text has no colour; it has none either where the output is no terminal",
    ),
    (
        "NOTIFY_SOCKET",
        "to whom record says that it is ready and alive, as systemd sets it for a unit of Type=notify",
    ),
    (
        "TERM",
        "with dumb, or without it, text has no colour, and there is no --live",
    ),
];
const SEE_ALSO: &str = "fstrim(8), systemd.timer(5), smartctl(8), nvme(1), iostat(1), blktrace(8)";

/// The page, in roff.
///
/// # Errors
///
/// None but those of writing to memory.
pub fn page() -> io::Result<Vec<u8>> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let man = Man::new(command.clone()).section("8");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    heading(&mut page, "COMMANDS")?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        self::command(&mut page, sub)?;
    }
    heading(&mut page, "EXAMPLES")?;
    page.extend(examples().as_bytes());
    let codes: Vec<_> = EXIT_CODES
        .iter()
        .map(|(code, meaning)| (code.to_string(), *meaning))
        .collect();
    terms(
        &mut page,
        "EXIT STATUS",
        codes
            .iter()
            .map(|(code, meaning)| (code.as_str(), *meaning)),
    )?;
    terms(&mut page, "FILES", FILES.into_iter())?;
    terms(&mut page, "ENVIRONMENT", ENVIRONMENT.into_iter())?;
    heading(&mut page, "SEE ALSO")?;
    Roff::new().text([roman(SEE_ALSO)]).to_writer(&mut page)?;
    Ok(page)
}

fn heading(page: &mut Vec<u8>, title: &str) -> io::Result<()> {
    Roff::new().control("SH", [title]).to_writer(page)
}

/// One command: its synopsis, what it is for, its arguments and options.
fn command(page: &mut Vec<u8>, sub: &Command) -> io::Result<()> {
    Roff::new()
        .control("SS", [sub.get_name()])
        .to_writer(page)?;
    let man = Man::new(sub.clone());
    let mut own = Vec::new();
    man.render_synopsis_section(&mut own)?;
    man.render_description_section(&mut own)?;
    let has_arguments = sub
        .get_arguments()
        .any(|one| !one.is_hide_set() && !one.is_global_set());
    if has_arguments {
        man.render_options_section(&mut own)?;
    }
    // The sections of a page of its own are paragraphs here.
    let own = String::from_utf8_lossy(&own).into_owned();
    let lines = own.lines().map(|line| {
        if line.starts_with(".SH ") {
            ".PP"
        } else {
            line
        }
    });
    for line in lines {
        page.extend(line.as_bytes());
        page.push(b'\n');
    }
    Ok(())
}

/// As they stand in the help: words are filled, commands are not.
fn examples() -> String {
    let mut text = String::new();
    for line in cli::EXAMPLES.lines().skip(1) {
        let words = line.trim_start().replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with("      ") {
            text.push_str(&format!(".nf\n.RS 4\n{words}\n.RE\n.fi\n"));
        } else {
            text.push_str(&format!(".PP\n{words}\n"));
        }
    }
    text
}

fn terms<'a>(
    page: &mut Vec<u8>,
    title: &str,
    rows: impl Iterator<Item = (&'a str, &'a str)>,
) -> io::Result<()> {
    heading(page, title)?;
    let mut roff = Roff::new();
    for (term, meaning) in rows {
        roff.control("TP", []);
        roff.text([bold(term)]);
        roff.text([roman(meaning)]);
    }
    roff.to_writer(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_command_option_and_exit_code() {
        let page = String::from_utf8(page().unwrap()).unwrap();
        let plain = page
            .replace("\\-", "-")
            .replace("\\fB", "")
            .replace("\\fR", "");
        let mut command = Cli::command();
        command.build();
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            assert!(
                plain.contains(&format!(".SS {}", sub.get_name())),
                "{}",
                sub.get_name()
            );
            let shown = sub.get_arguments().filter(|option| !option.is_hide_set());
            for option in shown.filter_map(clap::Arg::get_long) {
                assert!(plain.contains(&format!("--{option}")), "{option}");
            }
        }
        for (_, meaning) in EXIT_CODES {
            assert!(plain.contains(meaning), "{meaning}");
        }
        for section in [
            "NAME",
            "SYNOPSIS",
            "EXAMPLES",
            "\"EXIT STATUS\"",
            "FILES",
            "ENVIRONMENT",
        ] {
            assert!(plain.contains(&format!(".SH {section}")), "{section}");
        }
    }
}
