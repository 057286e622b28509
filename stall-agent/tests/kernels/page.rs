//! `docs/kernels.md`: hooks, fields, and what a report lacks where.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;

use crate::kept::Found;
use crate::rules;

const HEAD: &str = "\
# Kernels

What the agent finds in the type information (BTF) of kernels, without running them. The test
`kernels` makes this page of `tests/fixtures/btf` (Debian's kernels) and keeps it true; do not edit
it. Columns called `synthetic` are kernels that were not available: the BTF of 6.1 with what is
known of their layouts, and `?` for what is not.

A field that is found does not prove that the verifier accepts the programs. `cargo xtask vm` boots
some of these kernels and traces on them, 5.10 the oldest ([machines.md](machines.md)). Kernels
without `bpf_get_current_task_btf` (before 5.11) have the running task's fields copied by a helper.
";

const SUSE: &str = "
## The kernels of Harvester's hosts

Harvester 1.3 to 1.6 runs SUSE's 5.14, 1.7 SUSE's 6.4, 1.8 and later SUSE's 6.12. **None of these
was available: no program was loaded on them.** In what matters here 6.12 equals Debian's. 6.4 lies
between 6.2 and 6.5; like 6.2, it has no `block_io_start` unless SUSE backported it. 5.14 is 5.15
without `request_queue.disk`. On 5.14:

- A request's disk is `request.rq_disk`. The tracepoint does not pass the state of the task that is
  switched away from, so it is read from the task: a wake-up on another CPU in between hides a
  sleep.
- The submitter is noted with the bio when it gets its request, and found when the request is first
  seen. A bio merged into another submitter's request counts for that submitter.
- The holder of a lock at the end of the window is unknown, as on every kernel before 6.16.
- Tracepoints that pass a queue before the request or bio end with 5.10. There is a program for
  this form of `block_getrq`, which all of 5.10 has. There is none for those of `block_rq_issue` and
  `block_rq_insert`, which only its first releases have: the agent refuses such a kernel by name.
  Nor is there one that takes the disk from the request's partition: every kernel from 5.10 on has
  `rq_disk` or `request_queue.disk`.

The agent finds SUSE's backports in the type information, not by the version. The programs for 5.14
and 6.4 are tested on the machine that runs the tests, by hiding from the agent what its kernel has
beyond them (`tests/real_kernel/older.rs`). `stall-agent check` on a host is the last word.
";

pub(crate) fn page(found: &Found) -> String {
    let mut page = HEAD.to_owned();
    programs(&mut page, found);
    lacks(&mut page, found);
    page.push_str(SUSE);
    rules::write(&mut page);
    offsets(&mut page, found);
    page
}

fn head(page: &mut String, title: &str, found: &Found) {
    let names: Vec<_> = found.keys().map(String::as_str).collect();
    let rule = "---|".repeat(names.len() + 1);
    let _ = writeln!(page, "\n## {title}\n\n| | {} |\n|{rule}", names.join(" | "));
}

fn row(page: &mut String, name: &str, cells: impl Iterator<Item = String>) {
    let cells: Vec<_> = cells.collect();
    let _ = writeln!(page, "| `{name}` | {} |", cells.join(" | "));
}

fn programs(page: &mut String, found: &Found) {
    head(page, "Programs that are loaded", found);
    let list = |of: &Value| -> Vec<String> {
        let all = of["loaded"].as_array().into_iter().flatten();
        all.filter_map(|name| name.as_str().map(str::to_owned))
            .collect()
    };
    let all: BTreeSet<_> = found.values().flat_map(list).collect();
    for program in &all {
        let cell = |of| {
            if list(of).contains(program) {
                "yes"
            } else {
                "-"
            }
        };
        row(page, program, found.values().map(|of| cell(of).to_owned()));
    }
    let cell = |of: &Value| {
        if of["get_current_task_btf"] == true {
            "yes"
        } else {
            "**no**"
        }
    };
    row(
        page,
        "bpf_get_current_task_btf",
        found.values().map(|of| cell(of).to_owned()),
    );
}

fn lacks(page: &mut String, found: &Found) {
    page.push_str("\n## What a report lacks\n\n| kernel | what |\n|---|---|\n");
    for (name, of) in found {
        if let Some(reason) = of["refused"].as_str() {
            let _ = writeln!(page, "| {name} | **no trace**: {reason} |");
            continue;
        }
        let fields = of["lacks"].as_array().into_iter().flatten();
        let fields = fields.filter_map(Value::as_str).map(str::to_owned);
        let hooks = of["missing"].as_object().into_iter().flatten();
        let hooks = hooks.map(|(_, reason)| reason.as_str().unwrap_or_default().to_owned());
        let all: Vec<String> = hooks.chain(fields).collect();
        let text = if all.is_empty() {
            "nothing".to_owned()
        } else {
            all.join("; ")
        };
        let _ = writeln!(page, "| {name} | {text} |");
    }
}

fn offsets(page: &mut String, found: &Found) {
    head(page, "Offsets, bytes", found);
    let layouts = found.values().filter_map(|of| of["layout"].as_object());
    let fields = layouts.max_by_key(|layout| layout.len());
    for field in fields.into_iter().flat_map(|all| all.keys()) {
        let cell = |of: &Value| {
            let unknown = match of["layout"].get(field) {
                None if of["layout"].is_object() => "?",
                _ => "-",
            };
            let at = of["layout"][field].as_u64();
            at.map_or_else(|| unknown.to_owned(), |at| at.to_string())
        };
        row(page, field, found.values().map(cell));
    }
}
