//! `stall-agent check`: can this host be traced, and what would be missing?

use std::fmt::Write as _;

use serde::Serialize;

use crate::kernel::prereq::{self, Capability, State};
use crate::progress::sanitize;
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

    /// For people: a verdict, then a line each with its rule, advice below what is missing.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.headline();
        let names = self.capabilities.iter().map(|it| it.name.len());
        let width = names.max().unwrap_or(0);
        for capability in &self.capabilities {
            line(&mut text, capability, width);
        }
        text
    }

    fn headline(&self) -> String {
        let missing = |it: &&Capability| it.state == State::Missing;
        let missing = self.capabilities.iter().filter(missing).count();
        match (self.traceable, missing) {
            (false, _) => "This host cannot be traced as things stand.\n".to_owned(),
            (true, 0) => "This host can be traced.\n".to_owned(),
            (true, _) => "This host can be traced; the report will lack something.\n".to_owned(),
        }
    }
}

fn line(text: &mut String, capability: &Capability, width: usize) {
    let state = match capability.state {
        State::Ok => "ok",
        State::Missing => "missing",
        State::Unknown => "unknown",
    };
    let found = sanitize(&capability.found);
    let rule = match capability.exit_code {
        _ if capability.state == State::Missing => String::new(),
        Some(code) => format!("; required (exit code {code})"),
        None => format!("; without it: {}", capability.without),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "  {:width$}  {state:7}  {found}{rule}",
        capability.name
    );
    if capability.state != State::Missing {
        return;
    }
    if let (Some(lack), Some(advice)) = (&capability.lack, &capability.advice) {
        let _ = writeln!(text, "  {:width$}  without: {lack}; {advice}", "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::prereq::{Bpf, Evidence, judge};

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
        assert!(text.contains("  permission                      missing  neither root"));
        assert!(text.contains("without: everything; run it as root"));
        assert!(text.contains("lockdown                        unknown"));
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
        assert!(answer.text().lines().count() > 6);
    }
}
