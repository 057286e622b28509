//! `stall-agent check`: can this host be traced, and what would be missing?

use std::fmt::Write as _;

use serde::Serialize;

use crate::prereq::{self, Capability, State};
use crate::progress::sanitize;
use crate::report;

/// Of a line of text.
const WIDTH: usize = 80;
use stall_host::HostRoot;

/// The answer; as JSON it is the document of `check --format json`.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// `stall-agent-check`
    pub schema: &'static str,
    pub version: u32,
    pub agent_version: &'static str,
    pub traceable: bool,
    pub capabilities: Vec<Capability>,
}

/// Asks this host.
#[must_use]
pub fn check(root: &HostRoot) -> Answer {
    Answer::new(prereq::judge(&prereq::gather(root)))
}

impl Answer {
    #[must_use]
    pub fn new(capabilities: Vec<Capability>) -> Self {
        Self {
            schema: "stall-agent-check",
            version: 1,
            agent_version: env!("STALL_AGENT_VERSION"),
            traceable: prereq::obstacle(&capabilities).is_none(),
            capabilities,
        }
    }

    /// 0, or what a trace would end with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        let obstacle = prereq::obstacle(&self.capabilities);
        obstacle
            .and_then(|obstacle| obstacle.exit_code)
            .unwrap_or(0)
    }

    /// For people: the answer, then what is not as it should be, with what it costs and what to do.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.headline();
        let all = self.capabilities.len();
        let problems: Vec<&Capability> = self.problems().collect();
        let fine = all - problems.len();
        text.push_str(&format!(
            "{fine} of {all} things it needs are fine; stall-agent check -v lists them all.\n"
        ));
        for it in problems {
            text.push('\n');
            let what = format!("{}: {} ({})", it.name, word(it.state), it.found);
            paragraph(&mut text, "  ", 4, &what);
            paragraph(&mut text, "    ", 4, &format!("without it: {}", it.without));
            if let Some(advice) = &it.advice {
                paragraph(&mut text, "    ", 4, &format!("what to do: {advice}"));
            }
        }
        text
    }

    /// The same with everything that was looked at, a paragraph each with its rule.
    #[must_use]
    pub fn all(&self) -> String {
        let mut text = self.headline();
        for it in &self.capabilities {
            let mut line = format!("{}: {}", it.name, it.found);
            match (it.state, it.exit_code) {
                (State::Missing, _) => {}
                (_, Some(code)) => line.push_str(&format!("; required (exit code {code})")),
                (_, None) => line.push_str(&format!("; without it: {}", it.without)),
            }
            paragraph(&mut text, &format!("  {:7}  ", word(it.state)), 11, &line);
            if let (Some(lack), Some(advice)) = (&it.lack, &it.advice) {
                let line = format!("without it: {lack}; {advice}");
                paragraph(&mut text, &" ".repeat(11), 11, &line);
            }
        }
        text
    }

    fn problems(&self) -> impl Iterator<Item = &Capability> {
        let capabilities = self.capabilities.iter();
        capabilities.filter(|it| it.state != State::Ok)
    }

    fn headline(&self) -> String {
        let missing = |it: &Capability| it.state == State::Missing;
        let headline = if !self.traceable {
            "This host cannot be traced."
        } else if self.problems().any(missing) {
            "This host can be traced; the report will lack something."
        } else if self.problems().next().is_some() {
            "This host can be traced, as far as a check without tracing can show."
        } else {
            "This host can be traced."
        };
        format!("{headline}\n")
    }
}

const fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Missing => "missing",
        State::Unknown => "unknown",
    }
}

/// Adds text in lines of at most [`WIDTH`], the first after `lead`, the others indented by so much.
fn paragraph(text: &mut String, lead: &str, others: usize, words: &str) {
    let lines = report::wrap(&sanitize(words), WIDTH - others, usize::MAX);
    for (index, line) in lines.iter().enumerate() {
        let indent = if index == 0 {
            lead.to_owned()
        } else {
            " ".repeat(others)
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{indent}{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prereq::{Bpf, Evidence, judge};

    fn refused() -> Answer {
        Answer::new(judge(&Evidence {
            capabilities: Some(0),
            bpf: Bpf::Refused("Operation not permitted".to_owned()),
            ..Evidence::default()
        }))
    }

    #[test]
    fn says_first_whether_and_then_what() {
        let answer = refused();
        assert!(!answer.traceable);
        assert_eq!(answer.exit_code(), 3);
        let text = answer.text();
        assert!(text.starts_with("This host cannot be traced"));
        assert!(
            text.contains("\n  permission: missing (neither root"),
            "{text}"
        );
        assert!(text.contains("\n    without it: everything\n"), "{text}");
        assert!(text.contains("\n    what to do: run it as root"), "{text}");
        assert!(text.contains("\n  lockdown: unknown"), "{text}");
    }

    /// Whoever asks whether it will work sees the answer and what is wrong, and nothing else.
    #[test]
    fn what_is_fine_is_shown_on_demand() {
        let answer = Answer::new(judge(&Evidence {
            capabilities: Some(u64::MAX),
            bpf: Bpf::Works,
            symbols: Some(false),
            ..Evidence::default()
        }));
        let (text, all) = (answer.text(), answer.all());
        let fine = answer
            .capabilities
            .iter()
            .filter(|it| it.state == State::Ok);
        let fine: Vec<&str> = fine.map(|it| it.name.as_str()).collect();
        assert!(!fine.is_empty());
        for name in fine {
            assert!(!text.contains(&format!("{name}:")), "{name}: {text}");
            assert!(all.contains(&format!("ok       {name}:")), "{name}: {all}");
        }
        for text in [text, all] {
            assert!(
                text.lines().all(|line| line.chars().count() <= WIDTH),
                "{text}"
            );
        }
    }

    #[test]
    fn says_when_something_is_amiss_that_is_no_obstacle() {
        let answer = Answer::new(judge(&Evidence {
            symbols: Some(false),
            ..Evidence::default()
        }));
        assert!(answer.traceable);
        assert_eq!(answer.exit_code(), 0);
        assert!(answer.text().contains("will lack something"));
    }

    #[test]
    fn the_document_has_a_name_and_a_version() {
        let value = serde_json::to_value(refused()).unwrap();
        assert_eq!(value["schema"], "stall-agent-check");
        assert_eq!(value["traceable"], false);
        assert_eq!(value["capabilities"][0]["state"], "missing");
        assert_eq!(value["capabilities"][0]["name"], "permission");
    }

    #[test]
    fn this_machine_gets_an_answer() {
        let answer = check(&HostRoot::default());
        assert!(answer.all().lines().count() > 6);
    }
}
