//! `worlds`: plays worlds, has them judged, and prints how often the judge is right.
//!
//! Contract: the table on stdout; with `--show` one world instead. Exit status 2 when what was typed is not understood.

#![expect(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the command reads arguments, plays on all CPUs and prints; what it plays does none of it"
)]

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use stall_worlds::attempt;
use stall_worlds::families::{self, Family};
use stall_worlds::shown::shown;
use stall_worlds::table::{Judged, Table};

/// Numbers of held-out worlds begin here, so that none of them was ever one that rules were chosen on.
const HELD_OUT: u64 = 1_000_000;

#[derive(Parser)]
#[command(
    name = "worlds",
    about = "Play worlds whose truth is known, and say how often the judge is right"
)]
struct Options {
    /// Worlds, in turn of each family
    #[arg(long, default_value_t = 2_000)]
    count: u64,
    /// Number of the first world of each family
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this family
    #[arg(long)]
    family: Option<String>,
    /// Families and seeds that no rule was chosen on
    #[arg(long)]
    held_out: bool,
    /// Write the counts there, too
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Print the truth and the verdict of one world, --family and --seed, and save its capture
    #[arg(long, requires = "family")]
    show: bool,
    /// Fail when a goal is missed
    #[arg(long)]
    check: bool,
    /// Print each world that is judged wrong
    #[arg(long)]
    wrong: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worlds: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let mut families = if options.held_out {
        families::all()
    } else {
        families::chosen()
    };
    if let Some(wanted) = &options.family {
        families = families::all();
        families.retain(|family| family.name == wanted);
        if families.is_empty() {
            let all: Vec<_> = families::all().iter().map(|family| family.name).collect();
            bail!("there is no family {wanted}; there are {}", all.join(", "));
        }
    }
    let first = options.seed + if options.held_out { HELD_OUT } else { 0 };
    if options.show {
        return show(&families[0], first);
    }
    let begun = Instant::now();
    let mut judged = all(&families, first, options.count);
    judged.sort_by_key(|judged| (judged.number, judged.family));
    let table = Table::of(&judged);
    for judged in &judged {
        if options.wrong && !judged.mark.is_right {
            println!("{}", line(judged));
        }
    }
    println!("{table}");
    eprintln!(
        "{} worlds in {:.1} s",
        options.count,
        begun.elapsed().as_secs_f64()
    );
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&table)?;
        fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let missed = table.missed();
    if options.check && !missed.is_empty() {
        bail!("goals are missed: {}", missed.join(", "));
    }
    Ok(())
}

/// On as many threads as there are processors.
fn all(families: &[Family], first: u64, count: u64) -> Vec<Judged> {
    let (next, done) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    if place >= count {
                        return;
                    }
                    let family = &families[(place % families.len() as u64) as usize];
                    let judged = attempt(family, first + place / families.len() as u64).judged;
                    if let Ok(mut done) = done.lock() {
                        done.push(judged);
                    }
                }
            });
        }
    });
    done.into_inner().unwrap_or_default()
}

fn line(judged: &Judged) -> String {
    let truth = &judged.truth;
    let kinds = truth
        .episodes
        .first()
        .map(|episode| episode.kinds.iter().copied().collect::<Vec<_>>().join("|"));
    format!(
        "{} {}: {:?} {} / says {} {:?}, innocents {:?}",
        judged.family,
        judged.number,
        truth.state,
        kinds.unwrap_or_default(),
        judged.said.kind,
        judged.said.level,
        judged.mark.innocents
    )
}

fn show(family: &Family, number: u64) -> Result<()> {
    let tried = attempt(family, number);
    print!("{}", shown(&tried));
    let path = std::env::temp_dir().join(format!("world-{}-{number}.json", family.name));
    let text = serde_json::to_vec(&tried.capture)?;
    fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
    println!("capture: {}", path.display());
    Ok(())
}
