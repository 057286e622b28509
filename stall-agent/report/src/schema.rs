//! The JSON Schema of the report, derived from the model.

use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use serde_json::Value;
use stall_capture::fit::LARGEST;

use super::Report;

/// What each field and value means: the page that people read, so that a program's author reads the same.
pub static DEFINITIONS: &str = include_str!("../../../docs/report.md");

/// Fields that are points in time of a clock that starts with the machine: they pass [`LARGEST`] after 104 days.
const CLOCKS: [&str; 7] = [
    "start_ns",
    "end_ns",
    "queued_ns",
    "issued_ns",
    "first_queued_ns",
    "last_completed_ns",
    "start_boottime_ns",
];

/// The JSON Schema (draft 2020-12) every report validates against.
#[must_use]
pub fn schema() -> Value {
    // As it is written, not as it could be read: every field is there, absent ones as `null`.
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let schema = settings.into_generator().into_root_schema_for::<Report>();
    let mut schema = schema.to_value();
    // Of no server: a name to refer to.
    schema["$id"] = format!("urn:{}", super::SCHEMA.replace('/', ":")).into();
    schema["title"] = super::SCHEMA.into();
    bound("", &mut schema);
    let definitions = definitions();
    describe("Report", &mut schema, &definitions);
    for (name, one) in schema["$defs"].as_object_mut().into_iter().flatten() {
        describe(name, one, &definitions);
    }
    schema
}

/// Meanings by type, and field or value.
type Definitions = BTreeMap<(String, String), String>;

fn definitions() -> Definitions {
    let mut definitions = Definitions::new();
    let mut heading = "";
    for line in DEFINITIONS.lines() {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim();
        }
        let row = line
            .strip_prefix("| `")
            .and_then(|row| row.split_once("` | "));
        if let Some((name, meaning)) = row {
            let meaning = unlinked(meaning.trim_end_matches(['|', ' ']));
            definitions.insert((heading.to_owned(), name.to_owned()), meaning);
        }
    }
    definitions
}

/// `[Kind](#kind)` is `Kind`.
fn unlinked(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, link)) = rest.split_once('[') {
        let Some((name, after)) = link.split_once("](") else {
            break;
        };
        let after = after.split_once(')').map_or("", |(_, after)| after);
        plain.extend([before, name]);
        rest = after;
    }
    plain + rest
}

fn describe(name: &str, one: &mut Value, definitions: &Definitions) {
    let meaning = |member: &str| {
        let meaning = definitions.get(&(name.to_owned(), member.to_owned()));
        meaning.map(|text| Value::from(text.as_str()))
    };
    // An index would put a null where there is none, and `oneOf: null` is no schema.
    let fields = one.get_mut("properties").and_then(Value::as_object_mut);
    for (field, schema) in fields.into_iter().flatten() {
        if let (Some(meaning), Value::Object(schema)) = (meaning(field), schema) {
            schema.insert("description".to_owned(), meaning);
        }
    }
    let variants = one.get_mut("oneOf").and_then(Value::as_array_mut);
    for variant in variants.into_iter().flatten() {
        let value = variant["const"].as_str().and_then(meaning);
        if let Some(meaning) = value {
            variant["description"] = meaning;
        }
    }
}

/// Says of each field with an integer of 64 bits how large it can be; `name` is the field's.
fn bound(name: &str, schema: &mut Value) {
    match schema {
        Value::Array(all) => all.iter_mut().for_each(|one| bound(name, one)),
        Value::Object(all) => {
            let is_long = |format: &Value| format == "uint64" || format == "int64";
            if all.get("format").is_some_and(is_long) && !CLOCKS.contains(&name) {
                all.insert("maximum".to_owned(), LARGEST.into());
            }
            for (name, one) in all {
                bound(name, one);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every reader of JSON keeps; of whole reports the tests of the program and of the kernel say so.
    #[test]
    fn no_integer_but_a_point_in_time_may_be_larger_than_a_double_keeps() {
        let mut long = 0;
        each_integer("", &schema(), &mut |name, integer| {
            if integer["format"] == "uint64" || integer["format"] == "int64" {
                let is_bounded = integer["maximum"] == LARGEST;
                assert!(is_bounded != CLOCKS.contains(&name), "{name}: {integer}");
                long += 1;
            }
        });
        assert!(long > 100, "{long}");
    }

    #[test]
    fn every_field_is_described_as_the_page_does() {
        let schema = schema();
        assert_eq!(schema["$id"], "urn:stall-agent:report:2");
        let types = schema["$defs"].as_object().unwrap().values();
        let mut fields = 0;
        for one in types.chain([&schema]) {
            for (name, field) in one["properties"].as_object().into_iter().flatten() {
                let text = field["description"].as_str().unwrap_or_default();
                assert!(!text.is_empty() && !text.contains("]("), "{name}: {text}");
                fields += 1;
            }
        }
        assert!(fields > 500, "{fields}");
        let node = &schema["$defs"]["Incident"]["properties"]["node"]["description"];
        assert_eq!(node, "name of the host; `null` when it has none");
        assert_eq!(unlinked("a [Kind](#kind), [x]"), "a Kind, [x]");
    }

    fn each_integer<'a>(
        name: &'a str,
        schema: &'a Value,
        visit: &mut impl FnMut(&'a str, &'a Value),
    ) {
        if schema.get("format").is_some() {
            visit(name, schema);
        }
        for (name, one) in schema.as_object().into_iter().flatten() {
            each_integer(name, one, visit);
        }
        for one in schema.as_array().into_iter().flatten() {
            each_integer(name, one, visit);
        }
    }
}
