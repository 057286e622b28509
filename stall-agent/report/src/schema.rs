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
