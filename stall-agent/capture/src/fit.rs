//! JSON of other versions and through other programs' hands, made to fit the types of this version.
//!
//! The JSON Schema of the type says what is there. What it does not know passes. What is missing becomes `null`, or empty where
//! that cannot be. A value that an enumeration here does not have becomes its `unknown` or `other`, else `null`, else what
//! holds it is left out. Numbers that another program has made floating-point are integers again. All of it is noted: a
//! person is told what they do not see.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The largest integer that every reader of JSON keeps: a double has 53 bits for it.
pub const LARGEST: u64 = (1 << 53) - 1;
/// From here on a number is the kernel's "none", all bits set, rounded or not.
const NONE_FROM: f64 = 18_446_744_073_709_550_000.0;
/// Of paths, in a sentence.
const NAMED: usize = 3;

/// What was made to fit; paths as `devices[].layer`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// Fields that are not there.
    pub missing: BTreeSet<String>,
    /// Values that are not known, each after its path.
    pub unknown: BTreeSet<String>,
}

impl Differences {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unknown.is_empty()
    }
}

impl std::fmt::Display for Differences {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            let text = format!("{} missing, shown as empty", named(&self.missing, "field"));
            parts.push(text);
        }
        if !self.unknown.is_empty() {
            let text = format!(
                "{} not known to this version, shown as unknown or left out",
                named(&self.unknown, "value")
            );
            parts.push(text);
        }
        f.write_str(&parts.join("; "))
    }
}

/// Why a value cannot be made to fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Something is of another type, or is not there without which the rest says nothing.
    #[error("{0}")]
    Damaged(String),
    /// Something that cannot be left out is not known here.
    #[error("{0} is not known")]
    Unknown(String),
}

/// `2 fields (a, b)`
fn named(paths: &BTreeSet<String>, what: &str) -> String {
    let first: Vec<&str> = paths.iter().take(NAMED).map(String::as_str).collect();
    let plural = if paths.len() == 1 { "" } else { "s" };
    let more = if paths.len() > NAMED { ", ..." } else { "" };
    format!(
        "{} {what}{plural} ({}{more})",
        paths.len(),
        first.join(", ")
    )
}

/// The schema of a type as it is read.
#[must_use]
pub fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    let schema = settings.into_generator().into_root_schema_for::<T>();
    schema.to_value()
}

/// A value as one of this version, by the [`schema`] of its type.
///
/// # Errors
///
/// When it is damaged, also when one of `core` is not there; or when it is about something that is not known here.
pub fn fit<T: DeserializeOwned>(
    mut value: Value,
    schema: &Value,
    core: &[&str],
) -> Result<(T, Differences), Misfit> {
    if let Some(name) = core.iter().find(|name| !value[**name].is_object()) {
        return Err(Misfit::Damaged(format!("it has no {name}")));
    }
    let mut fitting = Fitting {
        types: &schema["$defs"],
        path: Vec::new(),
        differences: Differences::default(),
    };
    let fits = fitting.value(&mut value, schema).map_err(Misfit::Damaged)?;
    let differences = fitting.differences;
    if !fits {
        let mut what = differences.unknown.into_iter().chain(differences.missing);
        return Err(Misfit::Unknown(what.next().unwrap_or_default()));
    }
    let value =
        serde_json::from_value(value).map_err(|error| Misfit::Damaged(error.to_string()))?;
    Ok((value, differences))
}

struct Fitting<'a> {
    types: &'a Value,
    path: Vec<&'a str>,
    differences: Differences,
}

impl<'a> Fitting<'a> {
    /// False when it cannot be shown, and what holds it is to be left out.
    fn value(&mut self, value: &mut Value, schema: &'a Value) -> Result<bool, String> {
        let (schema, nullable) = self.plain(schema);
        if value.is_null() {
            return if nullable {
                Ok(true)
            } else {
                self.absent(value, schema)
            };
        }
        let fits = self.present(value, schema, nullable)?;
        if !fits && nullable {
            *value = Value::Null;
            return Ok(true);
        }
        Ok(fits)
    }

    /// A schema without references, and whether `null` is one of its values.
    fn plain(&self, schema: &'a Value) -> (&'a Value, bool) {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.trim_start_matches("#/$defs/");
            return self.plain(&self.types[name]);
        }
        let Some(either) = schema["anyOf"].as_array() else {
            let types = schema["type"].as_array();
            let nullable = types.is_some_and(|types| types.iter().any(|one| one == "null"));
            return (schema, nullable);
        };
        let mut some = either.iter().filter(|one| one["type"] != "null");
        (self.plain(some.next().unwrap_or(schema)).0, true)
    }

    fn present(
        &mut self,
        value: &mut Value,
        schema: &'a Value,
        nullable: bool,
    ) -> Result<bool, String> {
        if let Some(values) = values(schema) {
            return self.one_of(value, &values);
        }
        match (kind(schema), &mut *value) {
            ("object", Value::Object(fields)) => self.fields(fields, schema),
            ("array", Value::Array(_)) if schema.get("prefixItems").is_some() => {
                self.tuple(value, schema)
            }
            ("array", Value::Array(items)) => self.items(items, &schema["items"]),
            ("integer", Value::Number(number)) => {
                let far = number.as_f64().is_some_and(|number| number >= NONE_FROM);
                if far && nullable {
                    *value = Value::Null;
                } else if let Some(whole) = number.as_f64().filter(|_| number.is_f64()) {
                    *value = integer(whole).ok_or_else(|| self.not("an integer"))?;
                }
                Ok(true)
            }
            ("number", Value::Number(_))
            | ("string", Value::String(_))
            | ("boolean", Value::Bool(_)) => Ok(true),
            (kind, _) => Err(self.not(&format!("of type {kind}"))),
        }
    }

    fn not(&self, what: &str) -> String {
        format!("{} is not {what}", self.place())
    }

    fn place(&self) -> String {
        self.path.join(".").replace(".[]", "[]")
    }

    fn one_of(&mut self, value: &mut Value, values: &[&'a Value]) -> Result<bool, String> {
        if values.iter().any(|one| *one == value) {
            return Ok(true);
        }
        let Some(text) = value.as_str() else {
            return Err(self.not("of type string"));
        };
        let unknown = format!("{} {text}", self.place());
        self.differences.unknown.insert(unknown);
        Ok(stand_in(value, values))
    }

    fn fields(
        &mut self,
        fields: &mut Map<String, Value>,
        schema: &'a Value,
    ) -> Result<bool, String> {
        let required = schema["required"].as_array();
        let is_required = |name: &str| required.is_some_and(|all| all.iter().any(|it| it == name));
        let mut all_fit = true;
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            self.path.push(name);
            if let Some(value) = fields.get_mut(name) {
                all_fit &= self.value(value, field)?;
            } else if is_required(name) {
                let (plain, nullable) = self.plain(field);
                let mut value = Value::Null;
                if nullable {
                    self.differences.missing.insert(self.place());
                } else {
                    all_fit &= self.absent(&mut value, plain)?;
                }
                fields.insert(name.clone(), value);
            }
            self.path.pop();
        }
        Ok(all_fit)
    }

    /// What stands for a value that is not there and cannot be `null`.
    fn absent(&mut self, value: &mut Value, schema: &'a Value) -> Result<bool, String> {
        self.differences.missing.insert(self.place());
        if let Some(values) = values(schema) {
            return Ok(stand_in(value, &values));
        }
        *value = match kind(schema) {
            "object" => {
                // One note is enough.
                let noted = self.differences.clone();
                let mut fields = Map::new();
                let fits = self.fields(&mut fields, schema)?;
                self.differences = noted;
                *value = Value::Object(fields);
                return Ok(fits);
            }
            "array" if schema.get("minItems").is_none() => Value::Array(Vec::new()),
            "integer" | "number" => Value::from(0),
            "string" => Value::from(""),
            "boolean" => Value::from(false),
            _ => return Err(format!("it has no {}", self.place())),
        };
        Ok(true)
    }

    fn items(&mut self, items: &mut Vec<Value>, schema: &'a Value) -> Result<bool, String> {
        self.path.push("[]");
        let mut damage = None;
        items.retain_mut(|item| match self.value(item, schema) {
            Ok(fits) => fits,
            Err(problem) => {
                damage.get_or_insert(problem);
                true
            }
        });
        self.path.pop();
        damage.map_or(Ok(true), Err)
    }

    fn tuple(&mut self, value: &mut Value, schema: &'a Value) -> Result<bool, String> {
        let (items, types) = (value.as_array_mut(), schema["prefixItems"].as_array());
        let (Some(items), Some(types)) = (items, types) else {
            return Err(self.not("of type array"));
        };
        if items.len() != types.len() {
            return Err(self.not(&format!("an array of {}", types.len())));
        }
        for (item, schema) in items.iter_mut().zip(types) {
            if !self.value(item, schema)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Those of an enumeration.
fn values(schema: &Value) -> Option<Vec<&Value>> {
    let variants = match schema["oneOf"].as_array() {
        Some(variants) => variants.iter().collect(),
        None if schema.get("enum").is_some() || schema.get("const").is_some() => vec![schema],
        None => return None,
    };
    let mut values = Vec::new();
    for variant in variants {
        values.extend(variant["enum"].as_array().into_iter().flatten());
        values.extend(variant.get("const"));
    }
    Some(values)
}

/// Puts the value there that an enumeration has for what it does not know; false when it has none.
fn stand_in(value: &mut Value, values: &[&Value]) -> bool {
    let mut found = ["unknown", "other"].into_iter();
    let found = found.find(|name| values.iter().any(|one| one == name));
    if let Some(name) = found {
        *value = Value::from(name);
    }
    found.is_some()
}

/// The first type that is not `null`.
fn kind(schema: &Value) -> &str {
    match &schema["type"] {
        Value::String(kind) => kind,
        Value::Array(kinds) => {
            let mut kinds = kinds.iter().filter_map(Value::as_str);
            kinds.find(|kind| *kind != "null").unwrap_or_default()
        }
        _ => "",
    }
}

/// Of a number that has a point or an exponent.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast stops at the ends of the type"
)]
fn integer(number: f64) -> Option<Value> {
    if number.fract() != 0.0 {
        return None;
    }
    Some(if number < 0.0 {
        Value::from(number as i64)
    } else {
        Value::from(number as u64)
    })
}
