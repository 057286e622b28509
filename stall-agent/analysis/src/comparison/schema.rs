//! The JSON Schema of the comparison, derived from the model.

use schemars::generate::SchemaSettings;

use super::Comparison;

/// The JSON Schema (draft 2020-12) every comparison validates against.
#[must_use]
pub fn schema() -> serde_json::Value {
    // As it is written, not as it could be read: every field is there, absent ones as `null`.
    let settings = SchemaSettings::draft2020_12().for_serialize();
    settings
        .into_generator()
        .into_root_schema_for::<Comparison>()
        .to_value()
}
