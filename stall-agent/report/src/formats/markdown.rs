//! Ten lines for a chat or a ticket.

use super::event::lost;
use crate::incident::{causes_in_words, incident};
use crate::model::{AdviceWhen, Confidence, Severity};
use crate::summary::{moment, why};
use crate::text::{cut, escape};
use crate::{Report, duration};

/// Affected ones by name.
const NAMES: usize = 5;
/// Characters of a text: the whole stays below what Slack takes in one message.
const TEXT: usize = 600;

/// The report in Markdown that GitHub and Slack show alike, with a line feed at its end. No name in it formats, links or
/// notifies.
#[must_use]
pub fn markdown(report: &Report) -> String {
    let incident = incident(report);
    let verdict = &report.verdict;
    let mark = match incident.severity {
        Severity::Ok => "OK",
        Severity::Unknown => "UNKNOWN",
        Severity::Warning => "WARNING",
        Severity::Critical => "CRITICAL",
    };
    let sure = match verdict.confidence {
        Some(Confidence::High) => ", confidence high",
        Some(Confidence::Medium) => ", confidence medium",
        Some(Confidence::Low) => ", confidence low",
        None => "",
    };
    let mut lines = vec![
        format!("**{mark}: {}**{sure}", plain(&incident.title)),
        format!("> {}", plain(&verdict.sentence)),
    ];
    let mut item = |label: &str, text: &str| {
        if !text.is_empty() {
            lines.push(format!("- **{label}:** {}", plain(text)));
        }
    };
    if let Some(start) = &incident.started_at {
        let end = incident.ended_at.as_ref();
        let end = end.map_or_else(
            || "not over at the end of the trace".to_owned(),
            |end| format!("until {}", moment(end)),
        );
        item("When", &format!("{}, {end}", moment(start)));
    }
    let names: Vec<String> = incident.affected.iter().take(NAMES).map(lost).collect();
    let more = incident.affected.len().saturating_sub(NAMES) as u64 + incident.affected_omitted;
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    item("Affected", &(names.join(", ") + &more));
    item("Delayed by", &causes_in_words(&incident.causes));
    item("Proof", &why(report));
    let advice = |when| verdict.advice.iter().find(|one| one.when == when);
    if let Some(now) = advice(AdviceWhen::Now) {
        item("Do now", &now.text);
        if let Some(command) = &now.command {
            lines.push(code(command));
        }
    }
    if let Some(later) = advice(AdviceWhen::ForGood) {
        lines.push(format!("- **Prevent:** {}", plain(&later.text)));
    }
    lines.push(format!(
        "- stall-agent {}, {} from {}, `{}`",
        plain(&report.agent.version),
        duration(report.window.length_ns),
        plain(&moment(&report.window.start)),
        incident.id.replace('`', "'")
    ));
    lines.join("\n") + "\n"
}

/// A block of code, fenced by more backticks than the command has in a row.
fn code(command: &str) -> String {
    let command = escape(command);
    let mut fence = "```".to_owned();
    while command.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}\n{command}\n{fence}")
}

/// Text that is shown as it is: nothing in it formats (Markdown), links, or notifies somebody (`@channel`).
fn plain(text: &str) -> String {
    let text = cut(&escape(text), TEXT);
    let mut shown = String::with_capacity(text.len());
    let mut before = ' ';
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let after = characters.peek().copied().unwrap_or(' ');
        match character {
            '&' => shown.push_str("&amp;"),
            '<' => shown.push_str("&lt;"),
            '>' => shown.push_str("&gt;"),
            // Fullwidth: neither GitHub nor Slack notifies for it.
            '@' => shown.push('\u{ff20}'),
            '\\' | '`' | '*' | '[' | ']' | '|' | '~' => shown.extend(['\\', character]),
            '_' if !(before.is_alphanumeric() && after.is_alphanumeric()) => shown.push_str("\\_"),
            ':' if after == '/' => shown.push_str(":\\"),
            _ => shown.push(character),
        }
        before = character;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_formats_links_and_notifies_nothing() {
        let name = "@channel <!here> *x* `y` [a](http://b) _z_ a_b |";
        let shown = plain(name);
        assert_eq!(
            shown,
            "\u{ff20}channel &lt;!here&gt; \\*x\\* \\`y\\` \\[a\\](http:\\//b) \\_z\\_ a_b \\|"
        );
    }

    #[test]
    fn a_command_cannot_end_its_block() {
        assert_eq!(code("a ```` b"), "`````\na ```` b\n`````");
    }
}
