//! Several nodes' reports, one answer: a VM's disk is a volume, the volume's replicas lie on other nodes, and each of these
//! has a verdict of its own. Joined by the volume's name and by UTC; what that needs and is not there is named.
//!
//! Nothing is judged anew: which replica waited is in its node's report, and why is that node's verdict.

mod model;
mod text;
mod volume;
mod window;

use self::model::{Node, SCHEMA, Volume};
use self::volume::Place;
use super::Report;
use super::model::Severity;
use super::text::escape;

pub use model::Joined;
pub use text::text as joined_text;

/// Joins reports, each with the name of its file.
#[must_use]
pub fn join(reports: &[(String, Report)]) -> Joined {
    let places: Vec<Place<'_>> = reports
        .iter()
        .map(|(file, report)| Place::new(file, report))
        .collect();
    let (common, mut missing) = window::common(&places);
    let mut volumes = volume::volumes(&places, &mut missing);
    volumes.sort_by(|one, other| {
        let key = |it: &Volume| {
            (
                std::cmp::Reverse((it.slow_ops, it.slowest_ns)),
                it.volume.clone(),
            )
        };
        key(one).cmp(&key(other))
    });
    missing.dedup();
    let nodes: Vec<Node> = places.iter().map(node).collect();
    Joined {
        schema: SCHEMA,
        sentence: sentence(&volumes, &nodes, common.is_some()),
        common_start: common.as_ref().map(|(start, _)| start.clone()),
        common_end: common.map(|(_, end)| end),
        nodes,
        volumes,
        missing,
    }
}

fn node(place: &Place<'_>) -> Node {
    let incident = super::incident(place.report);
    Node {
        node: place.name.clone(),
        file: place.file.to_owned(),
        window_start: place.report.window.start.clone(),
        window_end: place.report.window.end.clone(),
        severity: incident.severity,
        title: incident.title,
        sentence: escape(&place.report.verdict.sentence),
    }
}

fn sentence(volumes: &[Volume], nodes: &[Node], is_common: bool) -> String {
    if !is_common {
        return "the reports have no time in common, so that no node's wait explains another's"
            .to_owned();
    }
    match volumes {
        [first, more @ ..] => {
            let more = match more.len() {
                0 => String::new(),
                1 => "; 1 more volume waited".to_owned(),
                more => format!("; {more} more volumes waited"),
            };
            format!("{}{more}", first.answer)
        }
        [] => match nodes.iter().find(|node| node.severity >= Severity::Warning) {
            Some(node) => format!(
                "no volume of a VM was slow; on {}: {}",
                node.node, node.sentence
            ),
            None => format!("none of {} nodes was slow", nodes.len()),
        },
    }
}
