//! The agent's output as a contract: one JSON document, valid by the agent's own schema.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use anyhow::{Context as _, Result, bail, ensure};
use jsonschema::Validator;
use serde_json::Value;

use super::program::program;

/// Reads the one document there must be, and validates it.
pub(crate) fn one(text: &str) -> Result<Value> {
    let mut documents = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let first = documents
        .next()
        .context("the agent wrote nothing to stdout")?
        .context("stdout is no JSON document")?;
    ensure!(
        documents.next().is_none(),
        "stdout holds more than one document"
    );
    validate(&first)?;
    Ok(first)
}

/// The report that `analyze` makes of a saved capture.
pub(crate) fn analyzed(capture: &Path) -> Result<Value> {
    let text = stdout(
        Command::new(program()?)
            .args(["analyze", "--quiet"])
            .arg(capture),
    )?;
    one(&text)
}

/// Runs a program to its end; what it wrote to stdout.
pub(crate) fn stdout(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {command:?}"))?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    let status = output.status;
    ensure!(status.success(), "{command:?}: {status}: {complaint}");
    String::from_utf8(output.stdout).context("stdout is not UTF-8")
}

fn validate(report: &Value) -> Result<()> {
    let errors: Vec<String> = validator()?
        .iter_errors(report)
        .map(|error| format!("{} at {}", error, error.instance_path))
        .take(5)
        .collect();
    match errors.as_slice() {
        [] => Ok(()),
        _ => bail!(
            "the report is not valid by the schema: {}",
            errors.join("; ")
        ),
    }
}

fn validator() -> Result<&'static Validator> {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    if let Some(validator) = VALIDATOR.get() {
        return Ok(validator);
    }
    let schema = stdout(Command::new(program()?).arg("schema"))?;
    let schema = serde_json::from_str(&schema).context("the schema is no JSON document")?;
    let validator = jsonschema::validator_for(&schema)
        .map_err(|error| anyhow::anyhow!("the schema is no JSON Schema: {error}"))?;
    Ok(VALIDATOR.get_or_init(|| validator))
}
