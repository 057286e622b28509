//! `explain`: what a word, a field, a value or a rule means, from the pages of the documentation, which are part of the program.
//!
//! A term is a word of the field (`queue depth`), a name (`exposed_slow_ops`), a path (`devices[].operations[].queue`), a type and
//! a field (`Stall.slow_ops`), a type (`Exposure`), a rule (`J5`), a constant (`CONTRAST`) or a word of the
//! principles (`wait ratio`). Case, blanks, `-` and
//! `_` make no difference. The definition itself is printed: where an entry only points to a type, the type's. The text has at most
//! 80 columns.

mod page;

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::failure;
use page::{Entry, Heads};
use stall_report::{DEFINITIONS, escape, wrap};

const GLOSSARY: &str = "docs/glossary.md";
const REPORT: &str = "docs/report.md";
const COMPARISON: &str = "docs/comparison.md";
const PRINCIPLES: &str = "docs/principles.md";
const GLOSSARY_TEXT: &str = include_str!("../../../docs/glossary.md");
const COMPARISON_TEXT: &str = include_str!("../../../docs/comparison.md");
const PRINCIPLES_TEXT: &str = include_str!("../../../docs/principles.md");
/// Of a whole document.
const ROOTS: [(&str, &str); 2] = [(REPORT, "Report"), (COMPARISON, "Comparison")];
const WIDTH: usize = 80;
const SUGGESTIONS: usize = 3;
/// An entry of so many words says no more than where to look.
const POINTER: usize = 5;
/// Less alike than that is no suggestion (Jaro and Winkler, 0 to 1).
const ALIKE: f64 = 0.75;

/// The definitions of a term, or one sentence that says which are there instead.
///
/// # Errors
///
/// When no page defines it.
pub fn explain(term: &str) -> Result<String, String> {
    static BOOK: LazyLock<Book> = LazyLock::new(Book::new);
    let book = &*BOOK;
    let found = book.find(term);
    if found.is_empty() {
        return Err(book.unknown(term));
    }
    let mut text = String::new();
    for entry in found {
        if !text.is_empty() {
            text.push('\n');
        }
        write_entry(&mut text, &entry);
    }
    Ok(text)
}

struct Book {
    entries: Vec<Entry>,
    heads: Vec<(&'static str, Heads)>,
}

impl Book {
    fn new() -> Self {
        let mut entries = page::bold(GLOSSARY, GLOSSARY_TEXT);
        for entry in &mut entries {
            // After the words that it defines.
            if let Some((_, definition)) = entry.text.split_once(". ") {
                entry.text = definition.to_owned();
            }
        }
        entries.push(Entry {
            name: "exit codes".to_owned(),
            section: String::new(),
            page: GLOSSARY,
            text: failure::table(),
            leads_to: None,
        });
        entries.extend(page::rows(REPORT, DEFINITIONS));
        entries.extend(page::rows(COMPARISON, COMPARISON_TEXT));
        entries.extend(page::bold(PRINCIPLES, PRINCIPLES_TEXT));
        entries.extend(page::rows(PRINCIPLES, PRINCIPLES_TEXT));
        let heads = vec![
            (REPORT, page::heads(DEFINITIONS)),
            (COMPARISON, page::heads(COMPARISON_TEXT)),
        ];
        Self { entries, heads }
    }

    fn find(&self, term: &str) -> Vec<Entry> {
        let term = term.trim();
        let mut sections = self.entries.iter().filter(|entry| entry.has_members());
        if sections.any(|entry| entry.section == term) {
            return self.section(&folded(term));
        }
        let steps: Vec<String> = term.split('.').map(folded).collect();
        let found = match steps.as_slice() {
            [name] => self.named(name),
            steps => ROOTS
                .iter()
                .flat_map(|(page, root)| self.path(page, root, steps))
                .chain(self.field_of_type(steps))
                .collect(),
        };
        if found.is_empty() && !term.contains('.') {
            return self.section(&folded(term));
        }
        found
            .into_iter()
            .map(|entry| self.followed(entry))
            .collect()
    }

    /// With the definition of the type that it only points to.
    fn followed(&self, mut entry: Entry) -> Entry {
        let words = entry.text.split_whitespace().count();
        let target = entry.leads_to.as_ref().filter(|_| words <= POINTER);
        let target = target.map(|target| self.section(&folded(target)));
        let same_page = target
            .into_iter()
            .flatten()
            .find(|one| one.page == entry.page);
        if let Some(target) = same_page {
            entry.text.push('\n');
            entry.text.push_str(&target.text);
        }
        entry
    }

    fn named(&self, name: &str) -> Vec<Entry> {
        let entries = self.entries.iter();
        let mut found: Vec<Entry> = entries
            .filter(|entry| folded(&entry.name) == name)
            .cloned()
            .collect();
        found.dedup();
        found
    }

    /// From the root of a document, each step in the section the one before leads to.
    fn path(&self, page: &str, root: &str, steps: &[String]) -> Option<Entry> {
        let (last, first) = steps.split_last()?;
        let mut section = root.to_owned();
        for step in first {
            section = self.member(page, &section, step)?.leads_to.clone()?;
        }
        self.member(page, &section, last).cloned()
    }

    fn member(&self, page: &str, section: &str, name: &str) -> Option<&Entry> {
        let mut entries = self.entries.iter();
        entries.find(|entry| {
            entry.page == page && entry.section == section && folded(&entry.name) == name
        })
    }

    fn field_of_type(&self, steps: &[String]) -> Vec<Entry> {
        let [section, name] = steps else {
            return Vec::new();
        };
        let entries = self.entries.iter();
        let found = entries.filter(|entry| {
            entry.has_members()
                && folded(&entry.section) == *section
                && folded(&entry.name) == *name
        });
        found.cloned().collect()
    }

    /// All of a type, as one text.
    fn section(&self, name: &str) -> Vec<Entry> {
        let mut found: Vec<Entry> = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.has_members()) {
            if folded(&entry.section) != name {
                continue;
            }
            let line = format!("{}: {}", entry.name, entry.text);
            match found.iter_mut().find(|one| one.page == entry.page) {
                Some(one) => {
                    one.text.push('\n');
                    one.text.push_str(&line);
                }
                None => found.push(Entry {
                    name: entry.section.clone(),
                    text: self
                        .head(entry)
                        .map_or(line.clone(), |head| format!("{head}\n{line}")),
                    ..entry.clone()
                }),
            }
        }
        found
    }

    fn head(&self, entry: &Entry) -> Option<&String> {
        let mut heads = self.heads.iter();
        let (_, heads) = heads.find(|(page, _)| *page == entry.page)?;
        heads.get(&entry.section)
    }

    fn unknown(&self, term: &str) -> String {
        let folded_term = folded(term.rsplit('.').next().unwrap_or(term));
        let names = self
            .entries
            .iter()
            .flat_map(|entry| [&entry.name, &entry.section]);
        let mut near: Vec<(f64, &String)> = names
            .map(|name| (strsim::jaro_winkler(&folded(name), &folded_term), name))
            .filter(|(alike, _)| *alike >= ALIKE)
            .collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
        near.dedup_by(|a, b| a.1 == b.1);
        let near: Vec<_> = near
            .into_iter()
            .take(SUGGESTIONS)
            .map(|(_, name)| name.as_str())
            .collect();
        let term = escape(term);
        if near.is_empty() {
            format!("{term} is not explained here: try request, latency or Report")
        } else {
            format!("{term} is not explained here; nearest: {}", near.join(", "))
        }
    }
}

fn folded(name: &str) -> String {
    let name = name.trim().trim_end_matches("[]").to_lowercase();
    name.replace([' ', '-'], "_")
}

fn write_entry(text: &mut String, entry: &Entry) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{}", entry.name);
    for line in entry
        .text
        .lines()
        .flat_map(|line| wrap(line, WIDTH - 2, usize::MAX))
    {
        let _ = writeln!(text, "  {line}");
    }
    let place = match entry.page {
        REPORT => format!("({}, in the report)", entry.section),
        COMPARISON => format!("({}, in the comparison)", entry.section),
        PRINCIPLES => format!("(a rule: {})", entry.section),
        _ => return,
    };
    let _ = writeln!(text, "  {place}");
}

impl Entry {
    /// Whether it is one of a type's fields or values.
    fn has_members(&self) -> bool {
        [REPORT, COMPARISON].contains(&self.page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_followed_from_type_to_type() {
        let queue = explain("devices[].operations[].queue").unwrap();
        assert_eq!(queue.lines().next(), Some("queue"));
        assert!(queue.contains("(Operation, in the report)"), "{queue}");
        assert_eq!(queue.matches("in the report)").count(), 1, "{queue}");
        assert_eq!(
            explain("verdict.culprits[].sleep.before_ns"),
            explain("Sleep.before_ns")
        );
        assert!(explain("devices[].nothing").is_err());
    }

    #[test]
    fn rules_and_words_of_the_principles_are_explained() {
        for (term, part) in [
            ("J5", "slow_device"),
            ("h1", "in flight"),
            ("CONTRAST", "two thirds"),
            ("K5", "confirmed"),
            ("wait ratio", "overlap"),
            ("Relative risk", "Mantel"),
            ("victim", "actor"),
        ] {
            let text = explain(term).unwrap_or_else(|problem| panic!("{problem}"));
            assert!(text.contains(part), "{term}: {text}");
            assert!(
                text.lines().all(|line| line.chars().count() <= WIDTH),
                "{text}"
            );
        }
    }

    /// The words that somebody has from iostat, ps or another tool, and those that the report says itself.
    #[test]
    fn the_words_of_the_field_are_defined() {
        let words = "await; iowait; queue depth; aqu-sz; noisy neighbor; Noisy Neighbour; D state; in D; uninterruptible sleep; \
            hung task; IOPS; p99; discard; trim; fstrim; flush; fsync; workload; episode; latency; throughput; saturation; PSI; \
            load average; outstanding; in flight; unknown submitter; not explained; the device itself; its own other requests; \
            lost; missed_wakeups; exit codes; blame; confidence; capture; noisy_neighbor; journal; throttling";
        for word in words.split("; ") {
            let text = explain(word).unwrap_or_else(|problem| panic!("{problem}"));
            let definition: Vec<&str> = text.lines().skip(1).collect();
            assert!(
                definition.join(" ").split_whitespace().count() > 8,
                "{text}"
            );
            assert!(!text.contains(".md"), "a place, not a definition: {text}");
        }
    }

    #[test]
    fn what_an_entry_points_to_is_printed() {
        for (term, part) in [
            ("verdict", "confidence:"),
            ("standing", "refuted:"),
            ("verdict.kind", "host_trim:"),
        ] {
            let text = explain(term).unwrap_or_else(|problem| panic!("{problem}"));
            assert!(text.contains(part), "{term}: {text}");
        }
    }

    #[test]
    fn a_list_of_a_rule_stays_a_list() {
        let text = explain("K4").unwrap();
        let items = text
            .lines()
            .filter(|line| line.trim_start().starts_with("- "));
        assert!(items.count() >= 2, "{text}");
    }

    #[test]
    fn what_is_not_known_is_one_sentence_with_what_is_near() {
        let problem = explain("exposed_slow_op").unwrap_err();
        assert!(problem.contains("exposed_slow_ops"), "{problem}");
        let problem = explain("qqq\u{1b}[2J").unwrap_err();
        assert!(
            !problem.contains('\u{1b}') && problem.lines().count() == 1,
            "{problem}"
        );
    }
}
