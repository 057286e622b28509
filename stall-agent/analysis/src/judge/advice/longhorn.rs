//! Longhorn's own filesystem trim: a recurring job, which starts `fstrim` from a pod of longhorn-manager.

use super::step::{self, Step};

const TRIM: &str = "longhorn.io/docs, nodes-and-volumes/volumes/trim-filesystem";

/// Where it is set.
pub(super) fn recurring_trim() -> [Step; 2] {
    [
        step::for_good("the trim is one of Longhorn's recurring jobs: see those whose task is filesystem-trim")
            .command("kubectl -n longhorn-system get recurringjobs.longhorn.io -o wide")
            .changes_nothing()
            .source(TRIM),
        step::for_good(
            "move that job's cron to a quiet hour and lower its concurrency (kubectl -n longhorn-system edit \
             recurringjobs.longhorn.io), or delete it",
        )
        .changes("when Longhorn trims filesystems of its volumes; volumes of VMs are block devices and are never trimmed by it")
        .risk("without it snapshots keep the space that files gave up")
        .source(TRIM),
    ]
}
