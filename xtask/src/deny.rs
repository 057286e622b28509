//! `cargo xtask deny`: what the workspace is built of has a licence, an origin and a name that `deny.toml` allows.
//!
//! Asks nobody but cargo, and needs no network. Advisories change from day to day and lie in a database elsewhere, so they are
//! not looked at: `cargo deny check advisories` does, with the same file.

mod licence;

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::process;
use crate::workspace::Workspace;

const RULES: &str = "deny.toml";
const TARGET: &str = "x86_64-unknown-linux-musl";

/// Prints each breach, and fails when there is one.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let text = fs::read_to_string(workspace.root().join(RULES)).context("reading the rules")?;
    let rules = Rules::parse(&text)?;
    let mut command = workspace.cargo();
    command.args(["metadata", "--format-version=1", "--locked"]);
    command.args(["--filter-platform", TARGET]);
    let metadata = process::read(&mut command).context("cargo metadata says nothing")?;
    let metadata: Value = serde_json::from_str(&metadata).context("it is not JSON")?;
    let packages = used(&metadata).context("cargo metadata has another form")?;
    let breaches: Vec<_> = packages.iter().flat_map(|it| rules.breaches(it)).collect();
    for breach in &breaches {
        println!("{breach}");
    }
    println!(
        "deny: {} packages, {} breaches",
        packages.len(),
        breaches.len()
    );
    if packages.is_empty() || !breaches.is_empty() {
        bail!("what it is built of is not all allowed");
    }
    Ok(())
}

/// The packages that are built for the target, tests and tools included.
fn used(metadata: &Value) -> Option<Vec<&Value>> {
    let nodes = metadata["resolve"]["nodes"].as_array()?;
    let ids: BTreeSet<&str> = nodes
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    let packages = metadata["packages"].as_array()?.iter();
    let is_used = |it: &&Value| it["id"].as_str().is_some_and(|id| ids.contains(id));
    Some(packages.filter(is_used).collect())
}

struct Rules {
    licences: BTreeSet<String>,
    /// Packages, each with a licence that it alone may have.
    exceptions: BTreeSet<(String, String)>,
    registries: BTreeSet<String>,
    banned: BTreeSet<String>,
}

impl Rules {
    fn parse(text: &str) -> Result<Self> {
        let list = |section, key| {
            let list = list(text, section, key);
            list.with_context(|| format!("{RULES} has no {key} in [{section}]"))
        };
        Ok(Self {
            licences: list("licenses", "allow")?,
            exceptions: exceptions(text),
            registries: list("sources", "allow-registry")?,
            banned: list("bans", "deny")?,
        })
    }

    fn breaches(&self, package: &Value) -> Vec<String> {
        let word = |key: &str| package[key].as_str();
        let own = word("name").unwrap_or("");
        let name = format!("{own} {}", word("version").unwrap_or(""));
        let mut breaches = Vec::new();
        let licence = word("license").unwrap_or("none");
        let is_exception = |it: &str| self.exceptions.contains(&(own.to_owned(), it.to_owned()));
        let is_allowed = |it: &str| self.licences.contains(it) || is_exception(it);
        if !licence::is_allowed(licence, &is_allowed) {
            breaches.push(format!("{name}: its licence is {licence}"));
        }
        // What is in the workspace has no source.
        let source = word("source").map(|source| source.trim_start_matches("registry+"));
        if let Some(source) = source.filter(|it| !self.registries.contains(*it)) {
            breaches.push(format!("{name}: it is from {source}"));
        }
        if self.banned.contains(own) {
            breaches.push(format!("{name}: it is banned"));
        }
        breaches
    }
}

/// Lines of the form `{ name = "package", allow = ["licence"] },`.
fn exceptions(text: &str) -> BTreeSet<(String, String)> {
    let lines = text.lines().filter_map(|line| {
        let (name, rest) = line.trim().strip_prefix("{ name = \"")?.split_once('"')?;
        let (_, licence) = rest.split_once("allow = [\"")?;
        Some((name.to_owned(), licence.split('"').next()?.to_owned()))
    });
    lines.collect()
}

/// The strings of `key = [..]` in a section.
fn list(text: &str, section: &str, key: &str) -> Option<BTreeSet<String>> {
    let (_, after) = text.split_once(&format!("\n[{section}]\n"))?;
    let within = after.split("\n[").next()?;
    let (_, after) = within.split_once(&format!("{key} = ["))?;
    let strings = after.split(']').next()?.split('"').skip(1).step_by(2);
    Some(strings.map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "# a\n\n[licenses]\nallow = [\n    \"MIT\",\n]\nexceptions = [\n    { name = \"tool\", allow = [\"MPL-2.0\"] },\n]\n\n[bans]\ndeny = [\"bad\"]\n\n[sources]\nallow-registry = [\"https://r\"]\n";

    fn told(name: &str, licence: Option<&str>, source: Option<&str>) -> usize {
        let package = json!({ "name": name, "version": "1", "license": licence, "source": source });
        Rules::parse(TEXT)
            .expect("it has all")
            .breaches(&package)
            .len()
    }

    #[test]
    fn licence_origin_and_name_are_looked_at() {
        let registry = Some("registry+https://r");
        assert_eq!(told("good", Some("MIT"), registry), 0);
        assert_eq!(told("good", Some("MIT"), None), 0);
        assert_eq!(told("good", Some("SSPL-1.0"), registry), 1);
        assert_eq!(told("good", None, registry), 1);
        assert_eq!(told("good", Some("MPL-2.0"), registry), 1);
        assert_eq!(told("tool", Some("MPL-2.0"), registry), 0);
        assert_eq!(told("good", Some("MIT"), Some("git+https://r")), 1);
        assert_eq!(told("bad", None, Some("registry+https://other")), 3);
    }

    #[test]
    fn the_rules_that_are_used_are_read() {
        let workspace = Workspace::find().expect("the tests run in it");
        let text = fs::read_to_string(workspace.root().join(RULES)).expect("it is there");
        let rules = Rules::parse(&text).expect("it has all");
        assert!(rules.licences.contains("MIT") && !rules.licences.contains("MPL-2.0"));
        assert_eq!(rules.registries.len(), 1);
        assert!(rules.banned.contains("openssl-sys"));
        assert!(Rules::parse("").is_err());
    }
}
