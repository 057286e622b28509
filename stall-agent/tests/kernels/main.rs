//! What the agent finds in the BTF of many kernels, none of them running: offsets, programs, losses.
//!
//! Each fixture is a distribution's kernel cut down to what the agent asks for. `expected.json` has what must
//! be found, `docs/kernels.md` the same for people. With `STALL_BTF=DIR` fixtures are cut anew from the whole BTF
//! in that directory, and both are written; with `UPDATE_GOLDEN=1` the latter are. Look at the difference before it is kept.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

mod checks;
mod cut;
mod damaged;
mod degrade;
mod kept;
mod model;
mod page;
mod rules;
mod signatures;
mod synthetic;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stall_agent::capture::HookState;
use stall_agent::kernel::support::{self, Facts};
use stall_agent::probe::{coverage, plan};
use stall_common::layout::ABSENT;

use kept::{Found, fixtures, folder, workspace};
use model::Types;

/// Name and bytes of each, of the synthetic ones too.
pub(crate) fn all() -> Vec<(String, Vec<u8>)> {
    let made = synthetic::kernels().into_iter();
    let made = made.map(|(kernel, bytes)| (kernel.name.to_owned(), bytes));
    fixtures().into_iter().chain(made).collect()
}

/// Offsets by field, `null` where there is none.
pub(crate) fn offsets(facts: &Facts) -> BTreeMap<String, Value> {
    let text = format!("{:?}", facts.layout);
    let inner = text.trim_start_matches("Layout { ").trim_end_matches(" }");
    let pairs = inner.split(", ").filter_map(|pair| pair.split_once(": "));
    let value = |text: &str| text.parse::<u32>().ok().filter(|value| *value != ABSENT);
    pairs
        .map(|(name, text)| (name.to_owned(), json!(value(text))))
        .collect()
}

fn found(bytes: &[u8]) -> Value {
    let facts = match support::facts_of(bytes) {
        Ok(facts) => facts,
        Err(error) => return json!({ "refused": error.to_string() }),
    };
    let steps = plan::plan(&facts);
    let hooks = steps.iter().map(plan::Step::hook);
    let of = |state: HookState| {
        let of = hooks.clone().filter(move |hook| hook.state == state);
        of.map(|hook| (hook.program, hook.reason))
            .collect::<BTreeMap<_, _>>()
    };
    let loaded: Vec<_> = of(HookState::Attached).into_keys().collect();
    let missing = of(HookState::Missing);
    json!({
        "lacking": plan::lacking(&steps),
        "loaded": loaded,
        "missing": missing,
        "get_current_task_btf": facts.typed_current,
        "lacks": coverage::gaps(&facts).iter().map(|gap| &gap.lack).collect::<Vec<_>>(),
        "layout": offsets(&facts),
    })
}

fn found_in_all() -> Found {
    let real = fixtures().into_iter();
    let real = real.map(|(name, bytes)| (name, found(&bytes)));
    let made = synthetic::kernels().into_iter();
    let made =
        made.map(|(kernel, bytes)| (kernel.name.to_owned(), only_known(kernel, found(&bytes))));
    real.chain(made).collect()
}

/// Without the offsets that are the neighbour's.
fn only_known(kernel: &synthetic::Kernel, mut found: Value) -> Value {
    if let Some(layout) = found["layout"].as_object_mut() {
        layout.retain(|field, _| kernel.fields.iter().any(|known| known.0 == field));
    }
    found
}

fn cut_anew(from: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let whole = fs::read(&path).unwrap();
        let bytes = cut::cut(&Types::read(&whole)).write();
        assert_eq!(
            found(&whole),
            found(&bytes),
            "{}: cutting changes what is found",
            path.display()
        );
        let name = format!("{}.btf", path.file_name().unwrap().to_string_lossy());
        fs::write(folder().join(name), bytes).unwrap();
    }
}

fn write_what_is_found() {
    let found = found_in_all();
    let text = serde_json::to_string_pretty(&found).unwrap();
    fs::write(folder().join("expected.json"), text + "\n").unwrap();
    fs::write(workspace().join("docs/kernels.md"), page::page(&found)).unwrap();
}

#[test]
fn finds_in_every_kernel_what_is_there() {
    if let Some(from) = std::env::var_os("STALL_BTF") {
        cut_anew(Path::new(&from));
        write_what_is_found();
    } else if std::env::var_os("UPDATE_GOLDEN").is_some() {
        write_what_is_found();
    }
    let text = fs::read_to_string(folder().join("expected.json")).unwrap();
    let expected: Found = serde_json::from_str(&text).unwrap();
    let found = found_in_all();
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>()
    );
    for (name, expected) in &expected {
        assert_eq!(&found[name], expected, "{name}");
    }
    let page = fs::read_to_string(workspace().join("docs/kernels.md")).unwrap();
    assert!(
        page == page::page(&found),
        "docs/kernels.md is not what is found"
    );
}
