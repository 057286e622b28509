//! The incidents for people and programs: which, and how they are told.

use std::time::{Duration, SystemTime};

use super::line::{Line, ProofKind, State, Who};
use stall_report::model::{Confidence, PartyKind};
use stall_report::{duration, kind_in_words};

/// Which incidents.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Those that ended at this wall clock or later, RFC 3339 in UTC with milliseconds.
    pub since: Option<String>,
    /// Those that a VM did or suffered, `name` or `namespace/name`.
    pub vm: Option<String>,
}

impl Wanted {
    #[must_use]
    pub fn is(&self, line: &Line) -> bool {
        let since = self.since.as_ref();
        let vm = self.vm.as_ref();
        since.is_none_or(|since| line.ended >= *since)
            && vm.is_none_or(|vm| {
                let mut all = line.culprits.iter().chain(&line.victims);
                all.any(|who| who.kind == PartyKind::Vm && (who.name == *vm || who.label() == *vm))
            })
    }
}

/// A moment, as `Wanted` has it: a time ago (`2h`), or a moment as `2026-11-30T15:30:00Z`, also without the time of day.
///
/// # Errors
///
/// What is wrong with it.
pub fn moment(text: &str, now: SystemTime) -> Result<String, String> {
    let day = format!("{text}T00:00:00Z");
    let time = humantime::parse_duration(text)
        .ok()
        .and_then(|ago| now.checked_sub(ago))
        .or_else(|| humantime::parse_rfc3339_weak(text).ok())
        .or_else(|| humantime::parse_rfc3339(&day).ok());
    let time = time.ok_or("is no time: write it as 2h, 2026-11-30 or 2026-11-30T15:30:00Z")?;
    Ok(humantime::format_rfc3339_millis(time).to_string())
}

/// The list, the oldest first.
#[must_use]
pub fn text(lines: &[&Line]) -> String {
    if lines.is_empty() {
        return "no incidents\n".to_owned();
    }
    lines.iter().map(|line| one(line)).collect()
}

/// One JSON object a line.
#[must_use]
pub fn json(lines: &[&Line]) -> String {
    // A line is plain data, of which JSON can always be made.
    let lines = lines
        .iter()
        .filter_map(|line| serde_json::to_string(line).ok());
    lines.map(|line| line + "\n").collect()
}

/// One of them.
#[must_use]
pub fn one(line: &Line) -> String {
    let sure = match line.confidence {
        Some(Confidence::High) => ", confidence high",
        Some(Confidence::Medium) => ", confidence medium",
        Some(Confidence::Low) => ", confidence low",
        None => "",
    };
    let state = match line.state {
        State::Open => ", under way",
        State::Ended => "",
        State::CutShort => ", went on",
    };
    let proof = line.proof.as_ref().map_or("", |proof| match proof.kind {
        ProofKind::ProvenByItsEnd => ", proven by its end",
        ProofKind::NotProven => ", not proven by its end",
        ProofKind::CorrelatedOnly => ", correlated only",
    });
    let device = line.device.as_deref().unwrap_or("no device");
    let count = if line.count > 1 {
        format!(", number {} of its kind", line.count)
    } else {
        String::new()
    };
    let kind = kind_in_words(line.kind);
    let mut text = format!(
        "{}  {}{state}  {kind}{sure}{proof}  {device}{count}\n",
        line.began,
        lasted(line)
    );
    let names = |all: &[Who]| {
        let names: Vec<String> = all.iter().map(Who::label).collect();
        names.join(", ")
    };
    if !line.culprits.is_empty() {
        text.push_str(&format!("    by {}\n", names(&line.culprits)));
    }
    if !line.victims.is_empty() {
        text.push_str(&format!("    waited: {}\n", names(&line.victims)));
    }
    text.push_str(&format!("    {}\n", line.sentence));
    match &line.file {
        Some(_) => text.push_str(&format!("    stall-agent incidents {}\n", line.id)),
        None => text.push_str("    no report is kept of it\n"),
    }
    text
}

fn lasted(line: &Line) -> String {
    let time = |text: &str| humantime::parse_rfc3339(text).ok();
    let lasted = time(&line.began).zip(time(&line.ended));
    let lasted = lasted.and_then(|(began, ended)| ended.duration_since(began).ok());
    let lasted: Duration = lasted.unwrap_or_default();
    duration(lasted.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::super::line::{Proof, SCHEMA};
    use super::*;
    use stall_report::model::Kind;

    fn line() -> Line {
        let who = |kind, namespace: Option<&str>, name: &str| Who {
            kind,
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        };
        Line {
            schema: SCHEMA.to_owned(),
            id: "20261130T153024.120Z".to_owned(),
            from: "2026-11-30T15:28:24.120Z".to_owned(),
            to: "2026-11-30T15:31:30.000Z".to_owned(),
            began: "2026-11-30T15:30:24.120Z".to_owned(),
            ended: "2026-11-30T15:30:27.120Z".to_owned(),
            state: State::Ended,
            triggers: [].into(),
            fingerprint: "host_trim|sda|fstrim.service".to_owned(),
            kind: Kind::HostTrim,
            confidence: Some(Confidence::High),
            device: Some("sda".to_owned()),
            culprits: vec![who(PartyKind::Unit, None, "fstrim.service")],
            victims: vec![who(PartyKind::Vm, Some("shop"), "db-1")],
            lost_ns: 3_000_000_000,
            sentence: "fstrim.service did it.".to_owned(),
            proof: Some(Proof {
                kind: ProofKind::ProvenByItsEnd,
                sentence: String::new(),
            }),
            file: Some("20261130T153024.120Z.json".to_owned()),
            file_bytes: Some(7),
            count: 1,
        }
    }

    #[test]
    fn one_is_told_in_a_few_lines() {
        let expected = "\
2026-11-30T15:30:24.120Z  3 s  a filesystem trim on this host, confidence high, proven by its end  sda
    by fstrim.service
    waited: shop/db-1
    fstrim.service did it.
    stall-agent incidents 20261130T153024.120Z
";
        assert_eq!(one(&line()), expected);
        assert_eq!(text(&[]), "no incidents\n");
    }

    #[test]
    fn they_are_chosen_by_time_and_vm() {
        let wanted = |since: Option<&str>, vm: Option<&str>| {
            let wanted = Wanted {
                since: since.map(str::to_owned),
                vm: vm.map(str::to_owned),
            };
            wanted.is(&line())
        };
        assert!(wanted(None, None) && wanted(None, Some("db-1")));
        assert!(wanted(Some("2026-11-30T15:30:27.120Z"), Some("shop/db-1")));
        assert!(!wanted(Some("2026-11-30T15:30:27.121Z"), None));
        assert!(!wanted(None, Some("fstrim.service")));
    }

    #[test]
    fn a_moment_is_a_time_ago_a_day_or_a_time() {
        let now = humantime::parse_rfc3339("2026-11-30T12:00:00Z").unwrap();
        let at = |text| moment(text, now);
        assert_eq!(at("2h").unwrap(), "2026-11-30T10:00:00.000Z");
        assert_eq!(at("2026-11-29").unwrap(), "2026-11-29T00:00:00.000Z");
        let time = at("2026-11-29T01:02:03Z").unwrap();
        assert_eq!(time, "2026-11-29T01:02:03.000Z");
        assert!(at("soon").is_err());
    }
}
