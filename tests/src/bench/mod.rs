//! What the agent costs beside its peers: the same load with nothing attached, with empty programs, with the agent
//! and with each peer, in turn and again.
//!
//! Contract: one contender at a time, in rounds, every other one backwards; what is told is the median over the
//! rounds, ratios within a round. Time per event is the kernel's own count, less that of an empty program on the same
//! hook, which is what the counting costs. Only reads are done, on a device of our own. A contender that does not run
//! is told with its reason.

mod bare;
mod contender;
mod device;
mod growth;
mod machine;
mod measure;
pub mod options;
mod programs;
mod running;
mod summary;

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use self::contender::Contender;
use self::device::Device;
use self::measure::Run;
pub use self::options::Options;

/// Runs all rounds. Returns the tables; leaves everything as JSON where that is asked for.
pub fn run(options: &Options) -> Result<String> {
    let device = Device::of(options.read.as_deref())?;
    let load = machine::load();
    let contenders = contender::all(options);
    let mut runs: Vec<Vec<Run>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..options.rounds {
        for index in order(round, contenders.len()) {
            let contender = &contenders[index];
            eprintln!(
                "round {} of {}: {}",
                round + 1,
                options.rounds,
                contender.name
            );
            runs[index].push(measure::run(contender, &device, options));
        }
    }
    let rows: Vec<_> = contenders.iter().zip(runs).collect();
    // What is compared is made in memory, the first of it too.
    let growth = match options.read {
        None => growth::measure(&contenders, &device, options)?,
        Some(_) => Vec::new(),
    };
    leave(options, &device, &load, &rows, &growth)?;
    Ok(format!(
        "{}\n{}{}",
        machine::line(&device, &load),
        summary::tables(&rows, &options.depths),
        growth::table(&growth)
    ))
}

/// Forwards and backwards in turn, so that what changes steadily while it runs favours nobody.
fn order(round: usize, count: usize) -> Vec<usize> {
    let order = 0..count;
    if round.is_multiple_of(2) {
        order.collect()
    } else {
        order.rev().collect()
    }
}

fn leave(
    options: &Options,
    device: &Device,
    load: &str,
    rows: &[(&Contender, Vec<Run>)],
    growth: &[growth::Step],
) -> Result<()> {
    let Some(file) = &options.json else {
        return Ok(());
    };
    let contenders = rows.iter().map(|(contender, runs)| {
        json!({
            "name": contender.name,
            "command": contender.command_line(),
            "runs": runs.iter().map(measure::json).collect::<Vec<_>>(),
        })
    });
    let all = json!({
        "machine": machine::json(device, load),
        "contenders": contenders.collect::<Value>(),
        "growth": growth.iter().map(growth::Step::json).collect::<Value>(),
    });
    let text = serde_json::to_string_pretty(&all)? + "\n";
    fs::write(file, text).with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_go_back_and_forth() {
        assert_eq!(order(0, 3), [0, 1, 2]);
        assert_eq!(order(1, 3), [2, 1, 0]);
    }
}
