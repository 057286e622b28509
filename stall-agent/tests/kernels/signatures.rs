//! The program that fits what a tracepoint passes is the one that is loaded, and where none does, one sentence says it.

use stall_agent::failure::{Failure, code};
use stall_agent::kernel::support::{self, Facts};
use stall_agent::probe::plan::{self, Verdict};

use crate::model::{TYPEDEF, Types};
use crate::{fixtures, offsets, synthetic};

fn facts(name: &str) -> Facts {
    let kernels = synthetic::kernels();
    let made = kernels.iter().map(|(kernel, bytes)| (kernel.name, bytes));
    let (_, bytes) = made.clone().find(|(known, _)| *known == name).unwrap();
    support::facts_of(bytes).unwrap()
}

fn loaded(facts: &Facts) -> Vec<&'static str> {
    let steps = plan::plan(facts);
    assert_eq!(plan::lacking(&steps), None);
    let loaded = steps.iter().filter(|step| step.verdict == Verdict::Load);
    loaded.map(|step| step.row.program).collect()
}

/// A recent kernel whose tracepoint passes so many arguments.
fn with(hook: &str, arguments: usize) -> Facts {
    let fixtures = fixtures();
    let (_, bytes) = fixtures
        .iter()
        .find(|(name, _)| name.starts_with("6.1."))
        .unwrap();
    let mut types = Types::read(bytes);
    types
        .named(TYPEDEF, &format!("btf_trace_{hook}"))
        .name
        .clear();
    synthetic::tracepoint(&mut types, hook, arguments);
    support::facts_of(&types.write()).unwrap()
}

#[test]
fn every_offset_that_is_known_is_found() {
    for (kernel, bytes) in synthetic::kernels() {
        let found = offsets(&support::facts_of(&bytes).unwrap());
        for synthetic::Known(field, _, _, at) in kernel.fields {
            assert_eq!(
                found[*field].as_u64(),
                at.map(u64::from),
                "{}: {field}",
                kernel.name
            );
        }
    }
}

#[test]
fn the_state_of_who_is_switched_away_from_is_an_argument_or_read() {
    for (name, three) in [
        ("5.14-synthetic", true),
        ("5.15-synthetic", true),
        ("6.2-synthetic", false),
    ] {
        let loaded = loaded(&facts(name));
        assert_eq!(loaded.contains(&"sched_switch_three"), three, "{name}");
        assert_eq!(loaded.contains(&"sched_switch"), !three, "{name}");
    }
}

#[test]
fn submissions_are_seen_at_the_start_or_by_two_stand_ins() {
    for (name, start) in [
        ("5.14-synthetic", false),
        ("6.2-synthetic", false),
        ("6.5-synthetic", true),
    ] {
        let loaded = loaded(&facts(name));
        for (program, expected) in [
            ("block_io_start", start),
            ("block_getrq", !start),
            ("block_rq_insert", !start),
        ] {
            assert_eq!(loaded.contains(&program), expected, "{name}: {program}");
        }
    }
}

#[test]
fn the_disk_is_the_requests_own_or_its_queues() {
    let disk = |name| {
        let found = offsets(&facts(name));
        (
            found["request_rq_disk"].as_u64(),
            found["queue_disk"].as_u64(),
        )
    };
    assert_eq!(disk("5.14-synthetic"), (Some(160), None));
    assert_eq!(disk("5.15-synthetic"), (Some(160), Some(120)));
    assert_eq!(disk("6.2-synthetic"), (None, Some(128)));
}

/// As in the first releases of 5.10; later ones leave the queue away.
#[test]
fn a_queue_in_front_of_the_request_is_refused_by_name() {
    for hook in ["block_rq_issue", "block_rq_insert"] {
        let lacking = plan::lacking(&plan::plan(&with(hook, 2)));
        let (named, why) = lacking.unwrap_or_else(|| panic!("{hook} is taken"));
        assert!(
            named.contains(hook) && why.contains("passes 2 arguments"),
            "{why}"
        );
        let failure = Failure::HookMissing {
            hook: format!("{named} ({why})"),
        };
        assert_eq!(failure.exit_code(), code::HOOK_MISSING);
    }
}

#[test]
fn the_bio_is_the_first_argument_or_comes_after_the_queue() {
    for (arguments, program) in [(1, "block_getrq"), (3, "block_getrq_three")] {
        let loaded = loaded(&with("block_getrq", arguments));
        let noting = loaded.iter().filter(|name| name.starts_with("block_getrq"));
        assert!(noting.eq(&[program]), "{arguments}: {loaded:?}");
    }
}

#[test]
fn another_form_of_the_bios_tracepoint_costs_submitters_only() {
    let steps = plan::plan(&with("block_getrq", 2));
    assert_eq!(plan::lacking(&steps), None);
    let hooks = steps.iter().map(plan::Step::hook);
    let lacks: Vec<_> = hooks.filter_map(|hook| hook.lack).collect();
    assert!(
        lacks.len() == 1 && lacks[0].contains("submitter"),
        "{lacks:?}"
    );
}
