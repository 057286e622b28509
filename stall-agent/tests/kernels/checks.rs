//! What `stall-agent check` says on each kernel, on a host where nothing else is amiss. `UPDATE_GOLDEN=1` writes
//! `tests/fixtures/check` anew; read the difference.

use std::fs;

use stall_agent::check::Answer;
use stall_agent::kernel::support;
use stall_agent::prereq::{Bpf, Evidence, judge};

use crate::all;
use crate::workspace;

fn answer(bytes: &[u8]) -> Answer {
    Answer::new(judge(&Evidence {
        capabilities: Some(u64::MAX),
        first_user_namespace: Some(true),
        bpf: Bpf::Works,
        lockdown: Some("none".to_owned()),
        types: support::facts_of(bytes).into(),
        symbols: Some(true),
        host_processes: Some(true),
        cached_files: Some(true),
    }))
}

#[test]
fn check_says_what_is_covered_on_each_kernel() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let folder = workspace().join("tests/fixtures/check");
    let mut wrong = Vec::new();
    for (name, bytes) in all() {
        let answer = answer(&bytes);
        let text = format!("{}exit code {}\n", answer.all(), answer.exit_code());
        let path = folder.join(format!("{name}.txt"));
        if update {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, text).unwrap();
        } else if fs::read_to_string(&path).ok().as_ref() != Some(&text) {
            wrong.push(format!("{name} is now:\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_document_has_the_rule_of_each_hook_and_field() {
    for (name, bytes) in all() {
        let value = serde_json::to_value(answer(&bytes)).unwrap();
        for capability in value["capabilities"].as_array().unwrap() {
            let required = capability["required"] == true;
            assert_eq!(
                required,
                capability["exit_code"].is_u64(),
                "{name}: {capability}"
            );
            assert_eq!(
                required,
                capability["without"] == "everything",
                "{name}: {capability}"
            );
            let missing = capability["state"] == "missing";
            assert_eq!(
                missing,
                capability["lack"].is_string(),
                "{name}: {capability}"
            );
        }
    }
}
