//! From what there is so far to a report on it, by the very analysis that the report at the end is made by.
//!
//! Contract: names that were looked up once are not looked up again; what has none now has none later either.

use std::collections::BTreeMap;

use super::look::Look;
use crate::collect::stacks;
use crate::kernel::symbols::Symbols;
use stall_analysis as analysis;
use stall_capture::Capture;
use stall_host::{HostRoot, cgroup_paths};
use stall_report::Report;

/// Judges again and again.
pub(crate) struct Judge {
    root: HostRoot,
    symbols: Symbols,
    /// Paths of control groups by their ids.
    groups: BTreeMap<u64, Option<String>>,
}

impl Judge {
    pub(crate) fn new(root: &HostRoot) -> Self {
        Self {
            root: root.clone(),
            symbols: Symbols::default(),
            groups: BTreeMap::new(),
        }
    }

    pub(super) fn judge(&mut self, look: Look) -> Report {
        analysis::analyze(&self.named(look))
    }

    /// The capture, with names for its stacks and control groups.
    pub(crate) fn named(&mut self, look: Look) -> Capture {
        let Look {
            mut capture,
            stacks,
        } = look;
        self.symbols
            .learn(&self.root, stacks.iter().flatten().copied());
        capture.stacks = stacks::named(&stacks, &self.symbols);
        self.learn_groups(capture.owners.iter().map(|owner| owner.cgroup_id));
        for owner in &mut capture.owners {
            owner.cgroup = self.groups.get(&owner.cgroup_id).cloned().flatten();
        }
        capture
    }

    fn learn_groups(&mut self, ids: impl Iterator<Item = u64>) {
        let new: Vec<u64> = ids.filter(|id| !self.groups.contains_key(id)).collect();
        let mut found = cgroup_paths::paths(&self.root, &new);
        for id in new {
            self.groups.insert(id, found.remove(&id));
        }
    }
}
