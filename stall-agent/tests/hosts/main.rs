//! Names on a Harvester host: trees of hosts, each read with the agent's own readers, judged, and held against what an
//! operator of that host would say. See `tests/fixtures/hosts/README.md`.

mod advice;
mod expected;
mod report;
mod tree;

use std::fs;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::expected::{differences, expected};
use crate::tree::{Tree, can_make_nodes, folder};

/// As many trees as are promised; a folder that lost some is a failure.
const TREES: usize = 12;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let nodes = can_make_nodes();
    if !nodes {
        println!("ignored: device nodes cannot be made here (needs root and CAP_MKNOD)");
    }
    let names = names();
    let count = names.len();
    let mut trials: Vec<Trial> = names
        .into_iter()
        .map(|name| {
            let trial = Trial::test(format!("host::{name}"), {
                let name = name.clone();
                move || holds(&name)
            });
            trial.with_ignored_flag(!nodes)
        })
        .collect();
    trials.push(Trial::test("every_tree_is_there", move || {
        let enough = count >= TREES;
        enough
            .then_some(())
            .ok_or_else(|| format!("{count} trees").into())
    }));
    for (name, check) in advice::CHECKS {
        let trial = Trial::test(format!("advice::{name}"), check);
        trials.push(trial.with_ignored_flag(!nodes));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Trees with an expectation; those without are parts of others.
fn names() -> Vec<String> {
    let entries = fs::read_dir(folder()).expect("there is a folder of trees");
    let mut names: Vec<String> = entries
        .filter_map(|entry| {
            let name = entry.ok()?.file_name().into_string().ok()?;
            Some(name.strip_suffix(".tree")?.to_owned())
        })
        .collect();
    names.sort_unstable();
    names
}

fn holds(name: &str) -> Result<(), Failed> {
    let tree = Tree::unpack(name);
    let wrong = differences(&report::of(&tree), &expected(name));
    if wrong.is_empty() {
        return Ok(());
    }
    Err(wrong.join("\n").into())
}
