//! The bill of materials: what is linked into the agent, as CycloneDX 1.6 JSON.
//!
//! From `cargo metadata` and `Cargo.lock`: what the agent depends on, on Linux, to run or to build its macros.
//! The BPF programs, which are a package of their own, are in it too; tests are not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::sources::Origin;
use crate::process;
use crate::workspace::Workspace;

const ROOTS: [&str; 2] = ["stall-agent", "stall-agent-ebpf"];

pub(super) fn write(workspace: &Workspace, origin: &Origin, to: &Path) -> Result<()> {
    let mut command = workspace.cargo();
    command.args(["metadata", "--format-version=1", "--locked"]);
    command.args(["--filter-platform", "x86_64-unknown-linux-musl"]);
    let text = process::read(&mut command).context("cargo metadata says nothing")?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    let lock = fs::read_to_string(workspace.root().join("Cargo.lock"))?;
    let bom = bom(&metadata, &sums(&lock), origin).context("cargo metadata has another form")?;
    fs::write(to, format!("{bom:#}\n")).with_context(|| format!("{} is not written", to.display()))
}

/// The SHA-256 of each package's archive, by name and version.
fn sums(lock: &str) -> BTreeMap<(&str, &str), &str> {
    lock.split("[[package]]").filter_map(package_sum).collect()
}

fn package_sum(block: &str) -> Option<((&str, &str), &str)> {
    let value = |key: &str| {
        let mut lines = block.lines();
        let text = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""));
        text?.strip_suffix('"')
    };
    Some(((value("name")?, value("version")?), value("checksum")?))
}

fn bom(metadata: &Value, sums: &BTreeMap<(&str, &str), &str>, origin: &Origin) -> Option<Value> {
    let packages = metadata["packages"].as_array()?;
    let by_id: BTreeMap<&str, &Value> = packages
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, package)))
        .collect();
    let edges = edges(metadata)?;
    let reached = reached(&by_id, &edges);
    let agent = by_id.values().find(|package| package["name"] == ROOTS[0])?;
    let others = reached.iter().filter(|id| by_id[*id] != *agent);
    let components: Vec<_> = others.filter_map(|id| component(by_id[id], sums)).collect();
    let dependencies: Vec<_> = reached
        .iter()
        .map(|id| dependency(by_id[id], &edges[id], &by_id))
        .collect();
    let mut main = component(agent, sums)?;
    main["type"] = json!("application");
    main["version"] = json!(format!("{}+{}", agent["version"].as_str()?, origin.commit));
    Some(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "timestamp": origin.time(), "component": main },
        "components": components,
        "dependencies": dependencies,
    }))
}

type Edges<'a> = BTreeMap<&'a str, BTreeSet<&'a str>>;

/// What each package needs to run or to be built; not what only its tests need.
fn edges(metadata: &Value) -> Option<Edges<'_>> {
    let nodes = metadata["resolve"]["nodes"].as_array()?;
    let wanted = |dependency: &&Value| {
        let kinds = dependency["dep_kinds"].as_array();
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"] != "dev"))
    };
    nodes
        .iter()
        .map(|node| {
            let all = node["deps"].as_array()?.iter().filter(wanted);
            let all = all.filter_map(|dependency| dependency["pkg"].as_str());
            Some((node["id"].as_str()?, all.collect()))
        })
        .collect()
}

/// The roots and everything they need, by id.
fn reached<'a>(by_id: &BTreeMap<&'a str, &'a Value>, edges: &Edges<'a>) -> BTreeSet<&'a str> {
    let is_root = |package: &Value| ROOTS.iter().any(|root| package["name"] == *root);
    let roots = by_id.iter().filter(|(_, package)| is_root(package));
    let mut next: Vec<&str> = roots.map(|(id, _)| *id).collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = next.pop() {
        if reached.insert(id) {
            next.extend(edges.get(id).into_iter().flatten());
        }
    }
    reached
}

fn component(package: &Value, sums: &BTreeMap<(&str, &str), &str>) -> Option<Value> {
    let (name, version) = (package["name"].as_str()?, package["version"].as_str()?);
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(package),
        "name": name,
        "version": version,
        "purl": reference(package),
    });
    if let Some(license) = package["license"].as_str() {
        // The slash is how it was written before SPDX.
        let expression = license.replace('/', " OR ").replace("  ", " ");
        component["licenses"] = json!([{ "expression": expression }]);
    }
    if let Some(sum) = sums.get(&(name, version)) {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
    Some(component)
}

fn dependency(package: &Value, on: &BTreeSet<&str>, by_id: &BTreeMap<&str, &Value>) -> Value {
    let on: BTreeSet<_> = on
        .iter()
        .filter_map(|id| by_id.get(id))
        .map(|package| reference(package))
        .collect();
    json!({ "ref": reference(package), "dependsOn": on })
}

/// The package URL, which names it everywhere.
fn reference(package: &Value) -> String {
    let text = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
    format!("pkg:cargo/{}@{}", text("name"), text("version"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Value {
        let package = |name: &str| json!({ "id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0" });
        let dep = |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let packages = ["stall-agent", "aya", "object", "proptest", "xtask"].map(package);
        json!({
            "packages": packages,
            "resolve": { "nodes": [
                { "id": "stall-agent", "deps": [dep("aya", Value::Null), dep("proptest", json!("dev"))] },
                { "id": "aya", "deps": [dep("object", json!("build"))] },
                { "id": "object", "deps": [] },
                { "id": "proptest", "deps": [] },
                { "id": "xtask", "deps": [] },
            ] },
        })
    }

    fn made() -> Value {
        let lock = "[[package]]\nname = \"aya\"\nversion = \"1.0.0\"\nchecksum = \"ab\"\n";
        let origin = Origin {
            commit: "abc".to_owned(),
            epoch: 0,
        };
        bom(&metadata(), &sums(lock), &origin).unwrap()
    }

    #[test]
    fn has_what_is_linked_and_not_what_tests_need() {
        let bom = made();
        let components = bom["components"].as_array().unwrap();
        let names: Vec<_> = components.iter().map(|part| &part["name"]).collect();
        assert_eq!(names, ["aya", "object"]);
        assert_eq!(bom["metadata"]["component"]["version"], "1.0.0+abc");
    }

    #[test]
    fn archives_have_their_sums_and_licences_are_spdx() {
        let aya = &made()["components"][0];
        assert_eq!(aya["hashes"][0]["content"], "ab");
        assert_eq!(aya["licenses"][0]["expression"], "MIT OR Apache-2.0");
    }
}
