//! What runs in a virtual machine to see whether the agent works on its kernel: this program, the agent, the kernel's modules
//! and a few of Debian's programs, on disks (virtio, NVMe, SCSI) whose discards are slow and that the host makes stand still.
//!
//! Contract: process 1. Each check is one line on the console that begins with [`MARK`]; the last line is
//! [`END`]; then the machine is reset. What the host is asked for begins with [`ASK`] and is answered by a line.

pub mod cast;
pub mod check;
pub mod disturbed;
pub mod ftrace;
pub mod hang;
pub mod host;
pub mod incident;
pub mod iscsi;
pub mod outcome;
pub mod reader;
pub mod requeue;
pub mod rules;
pub mod stack;
pub mod suspended;
pub mod system;
pub mod trace;

use std::panic;
use std::time::{Duration, Instant};

use anyhow::Result;

pub use outcome::{AGENT, ASK, CAPTURE, END, MARK, Outcome};

/// Sets the machine up, runs the checks the kernel's command line asks for, and resets it.
///
/// # Errors
///
/// When the machine cannot be reset.
pub fn run() -> Result<()> {
    panic::set_hook(Box::new(|panic| println!("{MARK}failed program: {panic}")));
    if let Err(error) = system::set_up(check::DISKS) {
        println!("{MARK}failed set-up: {error:#}");
    } else {
        run_checks();
    }
    println!("{END}");
    system::reset()
}

/// What is asked for, until the time is over; the rest is skipped.
fn run_checks() {
    let begin = Instant::now();
    let within = system::word("stall.seconds").and_then(|word| word.parse().ok());
    let within = within.map(Duration::from_secs);
    let unfit = check::unfit();
    for check in check::asked_for() {
        let start = Instant::now();
        let outcome = match (&unfit, within) {
            (Some(why), _) if check.traces => Ok(Outcome::Skipped(why.clone())),
            (_, Some(within)) if begin.elapsed() > within => Ok(Outcome::Skipped(format!(
                "the machine's {within:?} were over"
            ))),
            _ => (check.run)(),
        };
        tell(&check.name, outcome, start.elapsed());
    }
}

fn tell(name: &str, outcome: Result<Outcome>, took: Duration) {
    let took = took.as_secs();
    match outcome {
        Ok(Outcome::Passed(seen)) => println!("{MARK}passed {name} ({took} s): {seen}"),
        Ok(Outcome::Skipped(why)) => println!("{MARK}skipped {name}: {why}"),
        Err(error) => {
            trace::show_capture(name);
            let error = format!("{error:#}").replace('\n', " | ");
            println!("{MARK}failed {name} ({took} s): {error}");
        }
    }
}
