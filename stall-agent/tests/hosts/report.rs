//! The report of a tree: what the agent's readers find in it, as a capture without requests, judged.

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use stall_agent::analysis::analyze;
use stall_agent::capture::{Actor, Capture, Disk, Inventory};
use stall_agent::host::identity::Identity;
use stall_agent::host::mounts::Mounts;
use stall_agent::host::{HostRoot, block_device, inventory, oem};
use stall_agent::report::{schema, summary};

use super::tree::Tree;

/// What the report says, rows by their names: `processes`, `devices`, `vms`, `trim`, `name_gaps`.
#[must_use]
pub(crate) fn of(tree: &Tree) -> Value {
    let root = HostRoot::new(tree.root());
    let looked = judged(&capture(&root, Vec::new()));
    let active = judged(&capture(&root, actors(&root)));
    let mut all = json!({
        "processes": processes(&active),
        "devices": devices(&active),
        "vms": by(&active["vms"], |vm| text(&vm["label"])),
        "trim": active["trim"].clone(),
        "name_gaps": by(&active["name_gaps"], |gap| format!("{}: {}", text(&gap["what"]), text(&gap["reason"]))),
    });
    all["trim"]["runs"] = by(&active["trim"]["runs"], |run| run["pid"].to_string());
    assert_eq!(
        without_actors(looked["vms"].clone()),
        without_actors(active["vms"].clone()),
        "a machine that did no I/O is described like one that did"
    );
    assert_found_without_io(&root, &active);
    names_of_the_host(tree, &mut all);
    all
}

/// Those that tell of machines, volumes and trims are known by the first look, before they send a request.
fn assert_found_without_io(root: &HostRoot, report: &Value) {
    let found = inventory::look(root).processes;
    for actor in report["actors"].as_array().into_iter().flatten() {
        let process = &actor["process"];
        let kind = text(&process["role"]["kind"]);
        let tells = ["vm", "longhorn", "tgtd", "spdk"]
            .iter()
            .any(|one| kind.starts_with(one));
        let known = found.iter().any(|found| process["pid"] == found.pid);
        assert!(
            known || !(tells || kind.ends_with("trim")),
            "{kind}: {process}"
        );
    }
}

/// As a trace of this host would be, had it seen no request; each process of `actors` as if it had sent some.
pub(crate) fn capture(root: &HostRoot, actors: Vec<Actor>) -> Capture {
    let mounts = Mounts::of_host(root);
    let disks = block_device::disks(root).into_iter().map(|disk| {
        let (major, minor) = disk.number.unwrap_or((0, 0));
        Disk {
            facts: block_device::facts(root, &disk.name, &mounts),
            name: disk.name,
            major,
            minor,
            ..Disk::default()
        }
    });
    Capture {
        actors,
        disks: disks.collect(),
        inventory: Inventory {
            oem: oem::look(root),
            ..inventory::look(root)
        },
        ..empty()
    }
}

pub(crate) fn actors(root: &HostRoot) -> Vec<Actor> {
    let identity = Identity::new(root.clone());
    let pids = root
        .names("proc")
        .into_iter()
        .filter_map(|name| name.parse().ok());
    let known = pids.filter_map(|pid| identity.process(pid, None).ok());
    known
        .zip(2..)
        .map(|(process, id)| Actor {
            id,
            process: Some(process),
            ..Actor::default()
        })
        .collect()
}

/// A capture of nothing.
fn empty() -> Capture {
    let nothing: Value = [
        "hooks",
        "disks",
        "actors",
        "uses",
        "series",
        "discards",
        "slow_requests",
        "discard_requests",
        "unfinished_requests",
        "tasks",
        "blocked",
        "long_sleeps",
        "unfinished_sleeps",
        "stacks",
        "intervals",
        "loss",
    ]
    .into_iter()
    .map(|rows| (rows.to_owned(), json!([])))
    .collect::<Map<_, _>>()
    .into();
    let mut capture = nothing;
    capture["format"] = json!(stall_agent::capture::FORMAT);
    capture["version"] = json!(stall_agent::capture::VERSION);
    capture["agent_version"] = json!("");
    serde_json::from_value(with_defaults(capture)).expect("a capture of nothing is one")
}

fn with_defaults(mut capture: Value) -> Value {
    use stall_agent::capture::{Host, Overhead, Settings, Window};
    let value = |part: Result<Value, serde_json::Error>| part.expect("plain data");
    capture["host"] = value(serde_json::to_value(Host::default()));
    capture["settings"] = value(serde_json::to_value(Settings::default()));
    capture["overhead"] = value(serde_json::to_value(Overhead::default()));
    capture["window"] = value(serde_json::to_value(Window {
        start_ns: 2_000_000_000_000,
        end_ns: 2_060_000_000_000,
        start_unix_ns: 1_766_968_020_000_000_000,
        ..Window::default()
    }));
    capture
}

/// The report as JSON. Whatever the host says, it fits the schema, and its summary has nothing a terminal would obey.
fn judged(capture: &Capture) -> Value {
    let report = analyze(capture);
    let summary = summary(&report, None);
    let obeyed = |c: char| c.is_control() && c != '\n';
    assert!(!summary.contains(obeyed), "{summary:?}");
    let text = serde_json::to_string(&report).expect("a report is JSON");
    assert!(!text.contains(char::is_control), "escaped as JSON demands");
    assert!(text.len() < 4 << 20, "{} bytes", text.len());
    let report: Value = serde_json::from_str(&text).expect("it reads back");
    let validator: Validator = jsonschema::validator_for(&schema()).expect("a schema");
    if let Err(error) = validator.validate(&report) {
        panic!("{error} at {}", error.instance_path);
    }
    report
}

fn processes(report: &Value) -> Value {
    let mut rows = Map::new();
    for actor in report["actors"].as_array().into_iter().flatten() {
        let mut process = actor["process"].clone();
        process["label"] = actor["label"].clone();
        rows.insert(process["pid"].to_string(), process);
    }
    rows.into()
}

fn devices(report: &Value) -> Value {
    let mut rows = by(&report["devices"], |device| text(&device["name"]));
    for device in rows.as_object_mut().into_iter().flatten() {
        let partitions = by(&device.1["partitions"], |partition| {
            text(&partition["name"])
        });
        device.1["partitions"] = partitions;
    }
    rows
}

fn by(rows: &Value, name: impl Fn(&Value) -> String) -> Value {
    let rows = rows.as_array().into_iter().flatten();
    let rows: Map<_, _> = rows.map(|row| (name(row), row.clone())).collect();
    rows.into()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn without_actors(mut value: Value) -> Value {
    visit(&mut value, &mut |value| {
        if let Value::Object(object) = value {
            object.remove("actor");
        }
    });
    value
}

fn names_of_the_host(tree: &Tree, value: &mut Value) {
    visit(value, &mut |value| {
        if let Value::String(text) = value {
            *text = tree.as_on_the_host(text);
        }
    });
}

fn visit(value: &mut Value, to_do: &mut impl FnMut(&mut Value)) {
    to_do(value);
    match value {
        Value::Object(object) => object.values_mut().for_each(|value| visit(value, to_do)),
        Value::Array(array) => array.iter_mut().for_each(|value| visit(value, to_do)),
        _ => {}
    }
}
