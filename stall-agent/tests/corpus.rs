//! The inputs that are committed for the targets in `fuzz/`, once each: what was mended stays so, and none of them rots.

use std::fs;
use std::path::{Path, PathBuf};

use stall_agent::fuzzed::TARGETS;

/// Of all of them, so that a clone stays small.
const MOST_BYTES: u64 = 1 << 20;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the folder is there");
    let names = entries.map(|entry| entry.expect("it can be listed").file_name());
    let mut names: Vec<_> = names
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = folder().join("corpus").join(target);
    names(&folder)
        .iter()
        .map(|name| folder.join(name))
        .collect()
}

/// One at a time, so that the last one named is the one that is to blame.
fn replay(target: &str) {
    let take = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, take) = take.expect("there is such a target");
    let inputs = inputs(target);
    assert!(inputs.len() >= 5, "{target} has next to no inputs");
    for path in inputs {
        println!("{}", path.display());
        take(&fs::read(path).expect("it can be read"));
    }
}

#[test]
fn btf() {
    replay("btf");
}

#[test]
fn capture() {
    replay("capture");
}

#[test]
fn command_line() {
    replay("command_line");
}

#[test]
fn comparison() {
    replay("comparison");
}

#[test]
fn proc() {
    replay("proc");
}

#[test]
fn records() {
    replay("records");
}

#[test]
fn they_are_small() {
    let paths = TARGETS.iter().flat_map(|(target, _)| inputs(target));
    let bytes: u64 = paths
        .filter_map(|path| Some(path.metadata().ok()?.len()))
        .sum();
    assert!((1..MOST_BYTES).contains(&bytes), "{bytes} bytes");
}

#[test]
fn the_targets_are_those_that_are_built() {
    let targets = TARGETS.map(|(name, _)| name);
    let sources = names(&folder().join("fuzz_targets"));
    assert_eq!(sources, targets.map(|name| format!("{name}.rs")));
    assert_eq!(names(&folder().join("corpus")), targets);
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).expect("it is there");
    for name in targets {
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name}");
    }
}

/// The seeds do get as far as they are meant to: a capture is judged, a comparison made.
#[test]
fn seeds_are_what_they_look_like() {
    use stall_agent::capture::Capture;
    let corpus = folder().join("corpus");
    let capture = fs::read(corpus.join("capture/trim.json")).expect("it is there");
    Capture::read(&capture[..]).expect("a capture");
    let pair = fs::read(corpus.join("comparison/proof_before.json")).expect("it is there");
    serde_json::from_slice::<[Capture; 2]>(&pair).expect("two captures");
}
