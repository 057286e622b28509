//! The answer of several reports as text.

use std::fmt::Write as _;

use super::model::{Joined, Replica};
use crate::summary::{NARROWEST, WIDEST, moment};
use crate::text::wrap;
use crate::{duration, thousands};

/// For a terminal of so many cells.
#[must_use]
pub fn text(joined: &Joined, cells: usize) -> String {
    let mut page = Page {
        text: String::new(),
        cells: cells.clamp(NARROWEST, WIDEST),
    };
    page.item("", &joined.sentence);
    if let (Some(start), Some(end)) = (&joined.common_start, &joined.common_end) {
        let (start, end) = (moment(start), moment(end));
        page.item("", &format!("All nodes were seen from {start} to {end}."));
    }
    for volume in &joined.volumes {
        page.heading(&format!("VOLUME {}", volume.volume));
        page.item(
            "  ",
            &format!(
                "VM {} on {}: {} of {} requests slow, up to {}",
                volume.vm,
                volume.node,
                thousands(volume.slow_ops),
                thousands(volume.ops),
                duration(volume.slowest_ns)
            ),
        );
        for replica in &volume.replicas {
            page.item("    ", &self::replica(replica));
        }
    }
    page.heading("NODES");
    for node in &joined.nodes {
        page.item(
            "  ",
            &format!("{} ({}): {}", node.node, node.file, node.sentence),
        );
    }
    if !joined.missing.is_empty() {
        page.heading("WHAT IS MISSING");
        for one in &joined.missing {
            page.item("  ", one);
        }
    }
    page.text
}

fn replica(replica: &Replica) -> String {
    let address = replica.address.as_ref();
    let Some(node) = &replica.node else {
        let address = address.map_or("an address not known", String::as_str);
        return format!("replica at {address}: no report of its node");
    };
    let Some(device) = &replica.device else {
        return format!("replica on {node}: it sent no request to a disk");
    };
    let state = match replica.slow {
        Some(true) => "slow",
        Some(false) => "fine",
        None => "not seen at the same time",
    };
    let mean = replica.mean_ns.map_or_else(|| "?".to_owned(), duration);
    let cause = replica.cause.as_ref();
    let cause = cause.map_or_else(String::new, |cause| format!("; {cause}"));
    format!(
        "replica on {node}, {device}: {state}; {} of {} requests slow, mean {mean}, up to {}{cause}",
        thousands(replica.slow_ops),
        thousands(replica.ops),
        duration(replica.slowest_ns)
    )
}

struct Page {
    text: String,
    cells: usize,
}

impl Page {
    fn heading(&mut self, text: &str) {
        self.text.push('\n');
        self.item("", text);
    }

    fn item(&mut self, first: &str, text: &str) {
        for line in wrap(&crate::escape(text), self.cells - first.len(), usize::MAX) {
            // Writing to a string does not fail.
            let _ = writeln!(self.text, "{first}{line}");
        }
    }
}
