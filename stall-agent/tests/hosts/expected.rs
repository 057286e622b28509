//! What an operator would say of a host, held against the report: every field that is expected must be so, and the
//! sets of processes, devices, machines, runs of `fstrim` and gaps must be the same.

use std::fs;

use serde_json::{Map, Value};

use super::tree::folder;

/// Objects of which no more may be there than expected.
const COMPLETE: [&str; 6] = [
    "processes",
    "devices",
    "vms",
    "runs",
    "name_gaps",
    "partitions",
];

/// Reads `<name>.json`. `like` names another one that this one changes; `without` lists what is not there of it.
#[must_use]
pub(crate) fn expected(name: &str) -> Value {
    let path = folder().join(format!("{name}.json"));
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut own: Map<String, Value> =
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{name}.json: {error}"));
    let without = own.remove("without");
    let mut whole = match own.remove("like") {
        Some(like) => expected(like.as_str().expect("`like` is a name")),
        None => Value::Object(Map::new()),
    };
    for (section, names) in without
        .as_ref()
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let rows = whole
            .pointer_mut(&format!("/{section}"))
            .and_then(Value::as_object_mut)
            .expect("a section of rows");
        for name in names.as_array().into_iter().flatten() {
            let gone = rows.remove(name.as_str().expect("a name of a row"));
            assert!(gone.is_some(), "{name} is not there to begin with");
        }
    }
    change(&mut whole, Value::Object(own));
    whole
}

/// Objects are merged, all else replaced.
fn change(whole: &mut Value, part: Value) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                change(whole.entry(key).or_insert(Value::Null), value);
            }
        }
        (whole, part) => *whole = part,
    }
}

/// Every difference, as `where: is ..., must be ...`.
#[must_use]
pub(crate) fn differences(is: &Value, must: &Value) -> Vec<String> {
    let mut found = Vec::new();
    compare("", is, must, &mut found);
    found
}

fn compare(at: &str, is: &Value, must: &Value, found: &mut Vec<String>) {
    match (is, must) {
        (Value::Object(is), Value::Object(must)) => compare_objects(at, is, must, found),
        (Value::Array(is), Value::Array(must)) if is.len() == must.len() => {
            for (index, (is, must)) in is.iter().zip(must).enumerate() {
                compare(&format!("{at}[{index}]"), is, must, found);
            }
        }
        (is, must) if is == must => {}
        (is, must) => found.push(format!("{at}: is {is}, must be {must}")),
    }
}

fn compare_objects(
    at: &str,
    is: &Map<String, Value>,
    must: &Map<String, Value>,
    found: &mut Vec<String>,
) {
    for (key, must) in must {
        let at = format!("{at}/{key}");
        match is.get(key) {
            Some(is) => compare(&at, is, must, found),
            None => found.push(format!("{at}: is not there")),
        }
    }
    let section = at.rsplit('/').next().unwrap_or_default();
    if COMPLETE.contains(&section) {
        let more = is.keys().filter(|key| !must.contains_key(*key));
        found.extend(more.map(|key| format!("{at}/{key}: is there, must not be")));
    }
}
