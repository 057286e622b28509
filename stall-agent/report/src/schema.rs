//! The JSON Schema of the report, derived from the model.

use schemars::generate::SchemaSettings;
use serde_json::Value;
use stall_capture::fit::LARGEST;

use super::Report;

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
    schema
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
