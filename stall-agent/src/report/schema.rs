//! The JSON Schema of the report, derived from the model.

use schemars::generate::SchemaSettings;

use super::Report;

/// The JSON Schema (draft 2020-12) every report validates against.
#[must_use]
pub fn schema() -> serde_json::Value {
    // As it is written, not as it could be read: every field is there, absent ones as `null`.
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings
        .into_generator()
        .into_root_schema_for::<Report>()
        .to_value()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use serde_json::Value;

    /// Headings of docs/report.md, and what is between backticks in the first column under each.
    fn documented() -> BTreeMap<String, Vec<String>> {
        let mut sections = BTreeMap::<String, Vec<String>>::new();
        let mut heading = String::new();
        for line in include_str!("../../../docs/report.md").lines() {
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

    /// Types of the schema, and the fields or values of each.
    fn defined() -> BTreeMap<String, Vec<String>> {
        let schema = schema();
        let mut types: BTreeMap<String, Vec<String>> = schema["$defs"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, one)| (name.clone(), members(one)))
            .collect();
        types.insert("Report".to_owned(), members(&schema));
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

    #[test]
    fn every_field_and_value_is_defined_in_the_documentation() {
        let documented = documented();
        let none = Vec::new();
        for (name, members) in defined() {
            assert!(
                !members.is_empty(),
                "{name} is of a kind this test does not know"
            );
            let section = documented.get(&name).unwrap_or(&none);
            let missing: Vec<_> = members
                .iter()
                .filter(|member| !section.contains(member))
                .collect();
            assert!(
                missing.is_empty(),
                "docs/report.md, section {name}, lacks {missing:?}"
            );
        }
    }

    #[test]
    fn the_documentation_defines_nothing_that_is_not_there() {
        let defined = defined();
        for (heading, members) in documented() {
            let known = &defined[&heading];
            let gone: Vec<_> = members
                .iter()
                .filter(|member| !known.contains(member))
                .collect();
            assert!(
                gone.is_empty(),
                "docs/report.md, section {heading}, has {gone:?}, which the report has not"
            );
        }
    }

    #[test]
    fn every_field_is_always_there() {
        let schema = schema();
        for (name, one) in schema["$defs"].as_object().unwrap() {
            let fields = one["properties"]
                .as_object()
                .map_or(0, serde_json::Map::len);
            let required = one["required"].as_array().map_or(0, Vec::len);
            assert_eq!(fields, required, "{name}");
        }
    }
}
