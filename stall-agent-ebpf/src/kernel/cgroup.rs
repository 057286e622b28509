//! The control group that a request is charged to (include/linux/blk-cgroup.h).

use stall_common::layout::ABSENT;

use super::{Request, layout, load};

impl Request {
    /// The id of its control group; 0 for the root group, a request without a bio, a kernel that does
    /// not account I/O by group, or one that has made four billion files of control groups.
    #[inline(always)]
    pub(crate) fn cgroup(self) -> u32 {
        if layout!(bio_blkg) == ABSENT {
            return 0;
        }
        // SAFETY: pointers from one to the next, by BTF; through null, each loads 0.
        unsafe {
            let bio: *const u8 = load(self.0, layout!(request_bio));
            let blkg: *const u8 = load(bio, layout!(bio_blkg));
            let blkcg: *const u8 = load(blkg, layout!(blkg_blkcg));
            let cgroup: *const u8 = load(blkcg, layout!(blkcg_cgroup));
            let level: u32 = load(cgroup, layout!(cgroup_level));
            if level == 0 {
                return 0;
            }
            let node: *const u8 = load(cgroup, layout!(cgroup_kn));
            let id: u64 = load(node, layout!(kn_id));
            u32::try_from(id).unwrap_or(0)
        }
    }
}
