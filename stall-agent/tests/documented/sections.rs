//! What a page of the documentation defines, and what a JSON Schema has.

use std::collections::BTreeMap;

use serde_json::Value;

/// Names, and the fields or values of each.
pub(super) type Sections = BTreeMap<String, Vec<String>>;

/// Headings of a page, and what is between backticks in the first column under each.
pub(super) fn documented(page: &str) -> Sections {
    let mut sections = Sections::new();
    let mut heading = String::new();
    for line in page.lines() {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim().to_owned();
        } else if let Some(name) = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split('`').next())
        {
            sections
                .entry(heading.clone())
                .or_default()
                .push(name.to_owned());
        }
    }
    sections
}

/// Types of a schema, and the fields or values of each.
pub(super) fn defined(schema: &Value, root: &str) -> Sections {
    let mut types: Sections = schema["$defs"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, one)| (name.clone(), members(one)))
        .collect();
    types.insert(root.to_owned(), members(schema));
    types
}

fn members(one: &Value) -> Vec<String> {
    let fields = one["properties"]
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys().cloned());
    let variants = one["oneOf"].as_array().into_iter().flatten();
    let values = variants.flat_map(|variant| {
        let several = variant["enum"].as_array().into_iter().flatten();
        variant.get("const").into_iter().chain(several)
    });
    fields
        .chain(values.filter_map(|value| Some(value.as_str()?.to_owned())))
        .collect()
}

/// What the sections of the first lack of the second.
pub(super) fn missing(some: &Sections, all: &Sections) -> Vec<String> {
    let none = Vec::new();
    let mut missing = Vec::new();
    for (name, members) in all {
        let known = some.get(name).unwrap_or(&none);
        let gone = members.iter().filter(|member| !known.contains(member));
        missing.extend(gone.map(|member| format!("{name}: {member}")));
    }
    missing
}

/// Types whose fields are not all required.
pub(super) fn optional(schema: &Value) -> Vec<String> {
    let count = |one: &Value| {
        let fields = one["properties"].as_object();
        let required = one["required"].as_array();
        (
            fields.map_or(0, serde_json::Map::len),
            required.map_or(0, Vec::len),
        )
    };
    let types = schema["$defs"].as_object().unwrap().iter();
    types
        .filter(|(_, one)| count(one).0 != count(one).1)
        .map(|(name, _)| name.clone())
        .collect()
}
