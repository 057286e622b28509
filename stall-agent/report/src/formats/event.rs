//! One line of JSON for logs, Loki and webhooks: short enough that nobody on the way cuts it.

use serde::Serialize;

use crate::incident::{incident, shorten};
use crate::model::{AdviceWhen, Incident, Workload};
use crate::text::{cut, escape};
use crate::{Report, duration};

/// Name and version of this format.
const SCHEMA: &str = "stall-agent/event/1";
/// Containerd's log splits lines at 16 KiB, and some shippers at 8.
const BYTES: usize = 8 * 1024;
/// Rows of a list, before there is too much.
const MOST: usize = 16;
/// Cells of a text, where it has to be cut.
const TEXT: usize = 512;
/// Cells of a name: those of Kubernetes have at most 253.
const NAME: usize = 253;

#[derive(Serialize)]
struct Event {
    schema: &'static str,
    #[serde(flatten)]
    incident: Incident,
    sentence: String,
    window_start: String,
    window_end: String,
    advice: Option<String>,
    command: Option<String>,
    agent_version: String,
}

/// The report in one line of JSON below 8 KiB, with its line feed.
#[must_use]
pub fn event(report: &Report) -> String {
    let mut advice = report.verdict.advice.iter();
    let now = advice.find(|one| one.when == AdviceWhen::Now);
    let text = |text: &String| cut(&escape(text), 500);
    let mut event = Event {
        schema: SCHEMA,
        incident: narrow(incident(report)),
        sentence: cut(&escape(&report.verdict.sentence), 700),
        window_start: cut(&report.window.start, 40),
        window_end: cut(&report.window.end, 40),
        advice: now.map(|one| text(&one.text)),
        // A cut command is another command.
        command: now
            .and_then(|one| one.command.clone())
            .filter(|command| command.len() <= 500),
        agent_version: cut(&escape(&report.agent.version), 60),
    };
    let (mut most, mut cells) = (MOST, TEXT);
    loop {
        leave_out(&mut event.incident, most);
        let line = serde_json::to_string(&event).unwrap_or_default();
        if line.len() < BYTES || cells == 0 {
            return line + "\n";
        }
        if most > 0 {
            most /= 2;
        } else {
            cells /= 2;
            clip(&mut event, cells);
        }
    }
}

/// Texts of marks without end take many bytes; nobody reads them.
fn clip(event: &mut Event, cells: usize) {
    let incident = &mut event.incident;
    let texts = [
        &mut event.sentence,
        &mut event.agent_version,
        &mut incident.id,
        &mut incident.title,
        &mut incident.summary,
    ];
    let optional = [
        event.advice.as_mut(),
        incident.node.as_mut(),
        incident.device.as_mut(),
        incident.started_at.as_mut(),
        incident.ended_at.as_mut(),
    ];
    let labels = incident.causes.iter_mut().map(|cause| &mut cause.label);
    let all = texts.into_iter().chain(optional.into_iter().flatten());
    for text in all.chain(labels) {
        *text = cut(text, cells);
    }
    event.command.take_if(|command| command.len() > cells);
}

fn leave_out(incident: &mut Incident, most: usize) {
    incident.affected_omitted += shorten(&mut incident.affected, most);
    incident.culprits_omitted += shorten(&mut incident.culprits, most);
}

/// Names as long as Kubernetes allows; a longer one is nobody's.
fn narrow(incident: Incident) -> Incident {
    let short = |text: String| cut(&escape(&text), NAME);
    let narrow = |one: Workload| Workload {
        name: short(one.name),
        namespace: one.namespace.map(short),
        node: one.node.map(short),
        label: short(one.label),
        unit: one.unit.map(short),
        ..one
    };
    let mut incident = incident;
    for list in [&mut incident.affected, &mut incident.culprits] {
        *list = std::mem::take(list).into_iter().map(narrow).collect();
    }
    for cause in &mut incident.causes {
        cause.label = cut(&cause.label, NAME);
    }
    Incident {
        id: short(incident.id),
        node: incident.node.map(short),
        device: incident.device.map(short),
        ..incident
    }
}

/// What one waited, for people.
pub(super) fn lost(one: &Workload) -> String {
    match one.lost_ns.filter(|ns| *ns > 0) {
        Some(ns) => format!("{} ({})", one.label, duration(ns)),
        None => one.label.clone(),
    }
}
