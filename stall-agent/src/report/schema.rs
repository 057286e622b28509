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
    use super::super::documented::{Sections, defined, documented, missing, optional};
    use super::*;
    use crate::collect::loss;

    fn page() -> Sections {
        documented(include_str!("../../../docs/report.md"))
    }

    #[test]
    fn every_field_and_value_is_defined_in_the_documentation() {
        let defined = defined(&schema(), "Report");
        for (name, members) in &defined {
            assert!(
                !members.is_empty(),
                "{name} is of a kind this test does not know"
            );
        }
        let missing = missing(&page(), &defined);
        assert!(missing.is_empty(), "docs/report.md lacks {missing:?}");
    }

    #[test]
    fn the_documentation_defines_nothing_that_is_not_there() {
        let mut page = page();
        let causes = page.remove("LossCause");
        assert!(causes.is_some(), "they are a test of their own");
        let gone = missing(&defined(&schema(), "Report"), &page);
        assert!(
            gone.is_empty(),
            "docs/report.md has {gone:?}, which the report has not"
        );
    }

    /// In the report it is a text: a capture of another version may have causes of its own.
    #[test]
    fn every_cause_of_a_loss_is_defined_and_no_other() {
        let causes = loss::rows(&loss::Kernels::new(), &loss::Own::default());
        let causes: Vec<String> = causes.into_iter().map(|loss| loss.cause).collect();
        assert_eq!(page()["LossCause"], causes);
    }

    #[test]
    fn every_field_is_always_there() {
        assert!(optional(&schema()).is_empty());
    }
}
