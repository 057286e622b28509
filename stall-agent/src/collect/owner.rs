//! What threads of the kernel did for control groups.

use std::collections::BTreeMap;

use anyhow::Result;

use super::in_flight::op;
use super::maps::Maps;
use stall_capture::Owner;

/// The rows of the capture. `paths` looks up the groups' paths by their ids.
///
/// # Errors
///
/// When the kernel refuses to read the map.
pub fn rows(
    maps: &Maps,
    paths: impl FnOnce(&[u64]) -> BTreeMap<u64, String>,
) -> Result<Vec<Owner>> {
    let mut rows = Vec::new();
    for row in &maps.owners {
        let (key, sums) = row?;
        rows.push(Owner {
            actor: key.actor,
            disk: key.disk,
            op: op(key.op as u8),
            cgroup_id: key.cgroup,
            cgroup: None,
            ops: sums.ops,
            bytes: sums.bytes,
            total_ns: sums.total_ns,
            service_ns: sums.service_ns,
        });
    }
    rows.sort_by_key(|row| (row.disk, row.actor, row.op, row.cgroup_id));
    let ids: Vec<u64> = rows.iter().map(|row| row.cgroup_id).collect();
    let paths = paths(&ids);
    for row in &mut rows {
        row.cgroup = paths.get(&row.cgroup_id).cloned();
    }
    Ok(rows)
}
