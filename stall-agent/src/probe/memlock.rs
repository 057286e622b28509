//! Room for maps and programs where the kernel counts them as locked memory: up to 5.10, of all processes of a user together, against
//! the limit of the one that makes them. Later kernels count them as the memory of a control group.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// While it lives this process may lock as much memory as the kernel lets it: all with `CAP_SYS_RESOURCE`, else up to the hard
/// limit. Afterwards the limit is what it was, as it decides whether the agent keeps itself in memory.
#[must_use]
pub struct Room {
    /// `None` when the kernel refused, and nothing was changed.
    before: Option<Rlimit>,
}

impl Room {
    pub fn make() -> Self {
        let before = getrlimit(Resource::Memlock);
        let unlimited = Rlimit {
            current: None,
            maximum: None,
        };
        let most = Rlimit {
            current: before.maximum,
            maximum: before.maximum,
        };
        let changed = [unlimited, most]
            .into_iter()
            .any(|limit| setrlimit(Resource::Memlock, limit).is_ok());
        Self {
            before: changed.then_some(before),
        }
    }
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
