//! The house: which crates and modules may rest on which, and that those without I/O cannot do any.

#![expect(clippy::unwrap_used, reason = "what cannot be read fails the test")]

mod modules;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use modules::Modules;
use serde_json::Value;

/// Crates of the workspace, the lowest first: each may rest on those of the floors below its own.
const FLOORS: [&[&str]; 7] = [
    &["stall-common"],
    &["stall-capture", "stall-programs", "stall-agent-ebpf"],
    &["stall-report", "stall-host"],
    &["stall-analysis"],
    &["stall-agent", "stall-worlds"],
    &["stall-tests"],
    &["xtask"],
];

/// Crates that do no I/O, and what they may rest on: nothing that opens a file or a socket, asks for the time or the
/// environment, or starts a process or a thread.
const PURE: [&str; 3] = ["stall-capture", "stall-report", "stall-analysis"];
const ALLOWED: [&str; 38] = [
    "adler2",
    "anstyle",
    "base64",
    "block-buffer",
    "byteorder",
    "bytes",
    "cfg-if",
    "cpufeatures",
    "crc32fast",
    "crypto-common",
    "digest",
    "dyn-clone",
    "flate2",
    "generic-array",
    "hdrhistogram",
    "humantime",
    "itoa",
    "maud",
    "memchr",
    "miniz_oxide",
    "nom",
    "num-traits",
    "prost",
    "ref-cast",
    "schemars",
    "serde",
    "serde_core",
    "serde_json",
    "sha2",
    "simd-adler32",
    "stall-analysis",
    "stall-capture",
    "stall-common",
    "stall-report",
    "thiserror",
    "typenum",
    "unicode-width",
    "zmij",
];
/// Beyond what clippy keeps from the pure crates (`clippy.toml`), no `unsafe` that could do without it.
const SAFE: [&str; 5] = ["capture", "report", "analysis", "worlds", "host"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .arg("--offline")
        .current_dir(workspace())
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {arguments:?}: {complaint}");
    String::from_utf8(output.stdout).unwrap()
}

fn packages() -> Vec<Value> {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version", "1"]);
    let metadata: Value = serde_json::from_str(&metadata).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

#[test]
fn no_module_is_reached_from_what_it_reaches() {
    let mut roots = 0;
    let mut found = Vec::new();
    for package in packages() {
        for target in package["targets"].as_array().unwrap() {
            let root = Path::new(target["src_path"].as_str().unwrap());
            let circles = Modules::read(root).circles();
            found.extend(
                circles
                    .iter()
                    .map(|why| format!("{}: {why}", root.display())),
            );
            roots += 1;
        }
    }
    assert!(roots > 20, "{roots} crates were read");
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn crates_rest_on_lower_floors() {
    let floor = |name: &str| FLOORS.iter().position(|floor| floor.contains(&name));
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let own = floor(name).unwrap_or_else(|| panic!("{name} has no floor"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let below = floor(dependency["name"].as_str().unwrap());
            let is_for_tests = dependency["kind"] == "dev";
            let is_lower = below.is_none_or(|below| below < own);
            assert!(
                is_for_tests || is_lower,
                "{name} rests on {}",
                dependency["name"]
            );
        }
    }
}

#[test]
fn pure_crates_rest_on_nothing_that_does_io() {
    for name in PURE {
        let edges = ["-e", "normal,no-proc-macro", "--prefix", "none"];
        let tree = cargo(&[&["tree", "-p", name][..], &edges].concat());
        assert!(tree.lines().count() > 5, "{tree}");
        for line in tree.lines() {
            let package = line.split(' ').next().unwrap();
            assert!(
                ALLOWED.contains(&package),
                "{name} rests on {line}, which is not known to do no I/O"
            );
        }
    }
}

#[test]
fn crates_are_guarded_by_the_compiler() {
    let folder = workspace().join("stall-agent");
    for name in SAFE {
        let root = fs::read_to_string(folder.join(name).join("src/lib.rs")).unwrap();
        assert!(root.contains("#![forbid(unsafe_code)]"), "{name}");
        let rules = fs::read_to_string(folder.join(name).join("clippy.toml")).unwrap();
        for rule in [
            "disallowed-methods",
            "disallowed-types",
            "disallowed-macros",
        ] {
            assert!(rules.contains(rule), "{name} has no {rule}");
        }
    }
    let common = workspace().join("stall-common/src/lib.rs");
    assert!(fs::read_to_string(common).unwrap().contains("no_std"));
}

/// The circles of a crate of these files.
fn circles(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    Modules::read(&folder.path().join("lib.rs")).circles()
}

#[test]
fn a_circle_is_found_however_it_is_closed() {
    let leaf = ("b.rs", "pub struct B; pub fn b() {}");
    let ways = [
        "use crate::a::A; pub struct B;",
        "use super::a; pub struct B; fn b() { a::a(); }",
        "pub struct B; fn b() { assert!(crate::a::a()); }",
        "pub struct B; fn b() { use super::A; }",
        "use super::*; pub struct B(A);",
    ];
    for way in ways {
        let root = ("lib.rs", "mod a; mod b; pub use a::A;");
        let a = ("a.rs", "use crate::b::B; pub struct A(B); pub fn a() {}");
        assert_eq!(circles(&[root, a, leaf]), [""; 0]);
        let found = circles(&[root, a, ("b.rs", way)]);
        let is_of_globs = way.contains('*');
        assert_eq!(found.len(), usize::from(!is_of_globs), "{way}: {found:?}");
    }
}

#[test]
fn up_to_a_parent_is_a_circle_and_so_are_rooms() {
    let up = [
        ("lib.rs", "mod a; pub struct Root; fn f() { a::a(); }"),
        ("a.rs", "pub fn a() -> super::Root { super::Root }"),
    ];
    assert_eq!(circles(&up).len(), 1);
    let rooms = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "mod one; pub mod two;"),
        ("a/one.rs", "use crate::b::B;"),
        ("a/two.rs", "pub struct Two;"),
        ("b.rs", "pub mod c; pub struct B;"),
        ("b/c.rs", "use crate::a::two::Two;"),
    ];
    let found = circles(&rooms);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains("crate::a::one:1 names crate::b::B"),
        "{found:?}"
    );
}

#[test]
fn tests_and_addresses_close_no_circle() {
    let files = [
        ("lib.rs", "mod a; pub use a::A; pub struct Root;"),
        (
            "a.rs",
            "pub struct A(super::Root); #[cfg(test)] mod tests { use crate::b::B; }",
        ),
    ];
    assert_eq!(circles(&files), [""; 0]);
}
