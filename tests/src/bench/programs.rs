//! BPF programs by the kernel's count: how often each ran, and for how long.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use aya::programs::loaded_programs;
use nix::unistd::Pid;
use serde_json::{Value, json};

/// One program's runs while they were timed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Count {
    pub(super) runs: u64,
    pub(super) run_ns: u64,
}

/// Those of a process, by their ids.
pub(super) type Programs = BTreeMap<u32, Count>;

/// What a process holds now.
pub(super) fn of(pid: Pid) -> Programs {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        return Programs::new();
    };
    let infos = entries.flatten().filter_map(|entry| info(&entry.path()));
    infos.collect()
}

/// A link's descriptor names its program too, but does not say how often that ran.
fn info(file: &Path) -> Option<(u32, Count)> {
    let text = fs::read_to_string(file).ok()?;
    let field = |name: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    let count = Count {
        runs: field("run_cnt:")?,
        run_ns: field("run_time_ns:")?,
    };
    Some((u32::try_from(field("prog_id:")?).ok()?, count))
}

/// Names of programs, by their ids. Where they do not say the hooks, those are taken to have been loaded in this order.
pub(super) fn named(programs: &Programs, hooks: &[&str]) -> BTreeMap<u32, String> {
    let mut names = all_names();
    names.retain(|id, _| programs.contains_key(id));
    if names.values().all(|name| hook(name).is_none()) {
        let ids = programs.keys().zip(hooks);
        names.extend(ids.map(|(id, hook)| (*id, (*hook).to_owned())));
    }
    names
}

/// How many there are of others.
pub(super) fn of_others(programs: &Programs) -> usize {
    let all = all_names().into_keys();
    all.filter(|id| !programs.contains_key(id)).count()
}

/// Names of all programs there are, by their ids; the kernel keeps 15 letters.
fn all_names() -> BTreeMap<u32, String> {
    let programs = loaded_programs().flatten();
    programs
        .map(|program| {
            (
                program.id(),
                program.name_as_str().unwrap_or("?").to_owned(),
            )
        })
        .collect()
}

/// The hook a program is on, by its name, which peers take from it.
pub(super) fn hook(name: &str) -> Option<&'static str> {
    let begins = |hook: &&&str| name.starts_with(&hook[..hook.len().min(15)]);
    super::bare::HOOKS.iter().find(begins).copied()
}

/// What programs did between two looks, by name.
pub(super) fn between(
    before: &Programs,
    after: &Programs,
    names: &BTreeMap<u32, String>,
) -> BTreeMap<String, Count> {
    let mut sums = BTreeMap::<String, Count>::new();
    for (id, now) in after {
        let then = before.get(id).copied().unwrap_or_default();
        let name = names.get(id).cloned().unwrap_or_else(|| id.to_string());
        let sum = sums.entry(name).or_default();
        sum.runs += now.runs - then.runs;
        sum.run_ns += now.run_ns - then.run_ns;
    }
    sums.retain(|_, sum| sum.runs > 0);
    sums
}

impl Count {
    pub(super) fn ns_per_run(self) -> f64 {
        self.run_ns as f64 / self.runs as f64
    }

    pub(super) fn json(self) -> Value {
        json!({ "runs": self.runs, "run_ns": self.run_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(runs: u64, run_ns: u64) -> Count {
        Count { runs, run_ns }
    }

    #[test]
    fn hooks_are_told_by_names_cut_short() {
        assert_eq!(hook("block_rq_comple"), Some("block_rq_complete"));
        assert_eq!(hook("block_rq_issue_"), Some("block_rq_issue"));
        assert_eq!(hook("sched_switch"), Some("sched_switch"));
        assert_eq!(hook("d_tasks"), None);
    }

    #[test]
    fn programs_of_one_name_are_added_up() {
        let before = Programs::from([(1, count(10, 100))]);
        let after = Programs::from([(1, count(15, 700)), (2, count(5, 400)), (3, count(0, 0))]);
        let names = BTreeMap::from([(1, "a".to_owned()), (2, "a".to_owned())]);
        let sums = between(&before, &after, &names);
        assert_eq!(sums, BTreeMap::from([("a".to_owned(), count(10, 1000))]));
        assert!((sums["a"].ns_per_run() - 100.0).abs() < 1e-9);
    }
}
