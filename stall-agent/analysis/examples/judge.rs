//! Judges captures and prints the verdict of each: for work on the rules.

use std::fs::File;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let capture = stall_capture::Capture::read(File::open(&path)?)?;
        let report = stall_analysis::analyze(&capture);
        let verdict = &report.verdict;
        println!(
            "{path}: {:?} {:?}: {}",
            verdict.kind, verdict.confidence, verdict.sentence
        );
        if std::env::var_os("EPISODES").is_some() {
            for one in &verdict.episodes {
                println!(
                    "    {:?} {:?} {:?} {} .. {:?}: {}",
                    one.kind, one.confidence, one.share, one.started_at, one.ended_at, one.sentence
                );
            }
        }
    }
    Ok(())
}
