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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::documented::{Sections, defined, documented, missing, optional};

    fn page() -> Sections {
        documented(include_str!("../../../docs/comparison.md"))
    }

    /// Types that the report has too are defined with it.
    #[test]
    fn every_field_and_value_is_defined_in_the_documentation() {
        let mut pages = documented(include_str!("../../../docs/report.md"));
        pages.extend(page());
        let missing = missing(&pages, &defined(&schema(), "Comparison"));
        assert!(missing.is_empty(), "docs/comparison.md lacks {missing:?}");
    }

    #[test]
    fn the_documentation_defines_nothing_that_is_not_there() {
        let gone = missing(&defined(&schema(), "Comparison"), &page());
        assert!(
            gone.is_empty(),
            "docs/comparison.md has {gone:?}, which the comparison has not"
        );
    }

    #[test]
    fn every_field_is_always_there() {
        assert!(optional(&schema()).is_empty());
    }
}
