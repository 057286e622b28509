//! Definitions out of the pages of the documentation: rows of tables below headings, rules and words of the principles.

use std::collections::BTreeMap;

/// A definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// What is defined.
    pub(super) name: String,
    /// The heading it stands under.
    pub(super) section: String,
    /// The page.
    pub(super) page: &'static str,
    /// As text, marks taken away.
    pub(super) text: String,
    /// The first section it points to.
    pub(super) leads_to: Option<String>,
}

/// What a page says under each heading before its table.
pub(super) type Heads = BTreeMap<String, String>;

/// Rows of all tables whose first column is a name between backticks.
pub(super) fn rows(page: &'static str, content: &str) -> Vec<Entry> {
    let mut section = String::new();
    let mut entries = Vec::new();
    for line in content.lines() {
        if let Some(heading) = heading(line) {
            section = heading;
        } else if let Some((name, rest)) = row(line) {
            entries.push(Entry {
                name,
                section: section.clone(),
                page,
                text: plain(rest),
                leads_to: link(rest),
            });
        }
    }
    entries
}

/// The first paragraph under each heading.
pub(super) fn heads(content: &str) -> Heads {
    let mut heads = Heads::new();
    let mut section = String::new();
    for paragraph in content.split("\n\n") {
        let mut lines = paragraph.lines();
        let first = lines.next().unwrap_or_default();
        if let Some(heading) = heading(first) {
            section = heading;
        } else if !first.starts_with('|') {
            let text = plain(&paragraph.replace('\n', " "));
            heads.entry(section.clone()).or_insert(text);
        }
    }
    heads
}

/// Parts of the principles that begin with, or define, a word in bold: `**D4.**`, `**Relative risk**`, `a **victim** is`.
pub(super) fn bold(page: &'static str, content: &str) -> Vec<Entry> {
    let mut section = String::new();
    let mut entries = Vec::new();
    for block in blocks(content) {
        if let Some(heading) = heading(&block) {
            section = heading;
            continue;
        }
        let text = plain(&block);
        let names = block.split("**").skip(1).step_by(2);
        for name in names.flat_map(|name| name.split(", ")) {
            let name = rule(name).unwrap_or(name);
            entries.push(Entry {
                name: name.trim_end_matches('.').to_owned(),
                section: section.clone(),
                page,
                text: text.clone(),
                leads_to: None,
            });
        }
    }
    entries
}

/// `K5` of `K5. Otherwise`.
fn rule(name: &str) -> Option<&str> {
    let (rule, _) = name.split_once(". ")?;
    (rule.len() <= "D10".len()).then_some(rule)
}

/// Headings, paragraphs and items of lists, an item with those below it; tables are none.
fn blocks(content: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    let mut depth = 0;
    for line in content.lines() {
        let indent = line.len() - line.trim_start().len();
        let is_item = line.trim_start().starts_with("- ");
        let begins = line.trim().is_empty()
            || line.starts_with(['#', '|'])
            || (is_item && (indent <= depth || line.contains("- **")));
        if begins {
            blocks.push(String::new());
            depth = indent;
        }
        if line.starts_with('|') {
            continue;
        }
        if let Some(block) = blocks.last_mut() {
            if is_item && !block.is_empty() {
                block.push('\n');
            }
            block.push_str(line.trim());
            block.push(' ');
        }
    }
    blocks.retain(|block| !block.trim().is_empty());
    blocks
}

fn heading(line: &str) -> Option<String> {
    let rest = line.strip_prefix('#')?;
    Some(rest.trim_start_matches('#').trim().to_owned())
}

fn row(line: &str) -> Option<(String, &str)> {
    let (name, rest) = line.strip_prefix("| `")?.split_once('`')?;
    let (_, rest) = rest.split_once('|')?;
    Some((name.to_owned(), rest.trim().trim_end_matches('|').trim()))
}

/// The heading that `[Words](#anchor)` leads to is written like its words.
fn link(text: &str) -> Option<String> {
    let (before, _) = text.split_once("](#")?;
    Some(before.rsplit_once('[')?.1.to_owned())
}

/// Without backticks, stars and targets of links.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("](") {
        plain.push_str(before);
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    let plain = plain
        .replace("**", "")
        .replace(['`', '['], "")
        .replace(" | ", "; ");
    plain.trim_start_matches("- ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Report\n\nAll of it.\n\n| field | meaning |\n|---|---|\n| `a_ns` | time, `x` of [Side](#side), in [words](b.md) |\n\n## Side\n\n| value | meaning |\n|---|---|\n| `left` | one |\n";

    #[test]
    fn rows_have_their_heading_and_lead_on() {
        let rows = rows("page", PAGE);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].text, "time, x of Side, in words");
        assert_eq!(rows[0].leads_to.as_deref(), Some("Side"));
        assert_eq!(
            (rows[1].section.as_str(), rows[1].name.as_str()),
            ("Side", "left")
        );
        assert_eq!(heads(PAGE)["Report"], "All of it.");
    }

    #[test]
    fn a_rule_is_all_that_stands_below_it() {
        let page = "## Weighing (D)\n\n- **D4.** *Compare:* when\n  - refuted when `x`;\n  - high.\n- **D5.** No.\n\nA **victim** is\none.\n";
        let found = bold("page", page);
        let names: Vec<_> = found.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["D4", "D5", "victim"]);
        assert!(
            found[0].text.contains("refuted when x; \n- high."),
            "{found:?}"
        );
        assert_eq!(found[2].text, "A victim is one.");
    }
}
