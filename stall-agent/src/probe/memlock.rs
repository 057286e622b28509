//! Room for maps and programs where the kernel counts them as locked memory: up to 5.10, of all processes of a user together, against
//! the limit of the one that makes them. Later kernels count them as the memory of a control group.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// While it lives this process may lock as much memory as the kernel lets it: all with `CAP_SYS_RESOURCE`, else up to the hard
/// limit. Afterwards the limit is what it was, as it decides whether the agent keeps itself in memory.
#[must_use]
pub struct Room {
    /// `None` when nothing was changed.
    before: Option<Rlimit>,
}

impl Room {
    pub fn make() -> Self {
        let before = getrlimit(Resource::Memlock);
        let most = most(before.maximum);
        if most == before.current {
            return Self { before: None };
        }
        let limit = Rlimit {
            current: most,
            maximum: most,
        };
        let changed = setrlimit(Resource::Memlock, limit).is_ok();
        Self {
            before: changed.then_some(before),
        }
    }
}

/// The highest limit this process may have; `None` is none. The capability is asked for, so that the kernel never has to refuse.
fn most(maximum: Option<u64>) -> Option<u64> {
    let sets = capabilities(None);
    let may_raise = sets.is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE));
    maximum.filter(|_| !may_raise)
}

impl Drop for Room {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            // Lower than it is, which the kernel never refuses.
            let _ = setrlimit(Resource::Memlock, before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_comes_back() {
        let limit = || {
            let limit = getrlimit(Resource::Memlock);
            (limit.current, limit.maximum)
        };
        let before = limit();
        let room = Room::make();
        assert!(limit().0.is_none() || limit().0 >= before.0);
        drop(room);
        assert_eq!(limit(), before);
    }
}
