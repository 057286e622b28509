//! `docs/reliability.md` names a test for each fault: each of them exists, in the file it links to.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rows of the table, as their cells.
fn rows(text: &str) -> Vec<Vec<&str>> {
    let lines = text.lines().filter(|line| line.starts_with("| "));
    let rows = lines.map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect());
    rows.skip(1).collect()
}

/// `[name](../path)`, several with commas between.
fn tests(cell: &str) -> Vec<(&str, &str)> {
    let links = cell.split(", ").filter_map(|link| {
        let (name, path) = link.strip_prefix('[')?.split_once("](")?;
        Some((name, path.strip_suffix(')')?))
    });
    links.collect()
}

fn is_there(name: &str, source: &str) -> bool {
    let is_function = source.contains(&format!("#[test]\n    fn {name}()"))
        || source.contains(&format!("#[test]\nfn {name}()"));
    let words = source.split_whitespace().collect::<Vec<_>>().join(" ");
    let is_listed = ["Test", "Check"]
        .map(|kind| {
            [
                format!("{kind}::new(\"{name}\""),
                format!("{kind}::new( \"{name}\""),
            ]
        })
        .concat();
    is_function || is_listed.iter().any(|start| words.contains(start))
}

#[test]
fn each_fault_has_a_test_that_exists() {
    let text = fs::read_to_string(root().join("docs/reliability.md")).expect("it is there");
    let rows = rows(&text);
    assert!(rows.len() > 30, "only {} faults", rows.len());
    for row in rows {
        let [fault, injected, happened, cell] = row.as_slice() else {
            panic!("{} cells: {row:?}", row.len());
        };
        for cell in [fault, injected, happened] {
            assert!(!cell.is_empty(), "{row:?}");
        }
        let tests = tests(cell);
        assert_eq!(tests.len(), cell.matches("](").count(), "{cell}");
        assert!(!tests.is_empty(), "{fault} has no test");
        for (name, path) in tests {
            let file = root().join("docs").join(path);
            let source = fs::read_to_string(&file).expect(path);
            assert!(is_there(name, &source), "{path} has no test {name}");
        }
    }
}

#[test]
fn a_name_alone_is_no_test() {
    assert!(is_there("a", "#[test]\nfn a() {}"));
    assert!(is_there("a", "Test::new(\n        \"a\", run)"));
    assert!(!is_there("a", "fn a() {}") && !is_there("a", "// a"));
    assert!(!is_there("a", "#[test]\nfn ab() {}"));
}
