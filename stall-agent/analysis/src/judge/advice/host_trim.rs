//! A filesystem trim of this host: stop it, keep it from coming back at a busy hour, and make it gentler.

use super::case::Case;
use super::step::Step;
use super::{limit, longhorn, oem, pieces, stop, timer};
use stall_report::model::RoleKind;

pub(super) fn steps(case: &Case<'_>) -> Vec<Step> {
    let mut steps = stop::all(case);
    steps.extend(limit::discards(case));
    steps.push(case.confirm("when it has ended, trace again: the slow requests must be gone"));
    if is_of(case, RoleKind::LonghornTrim) {
        steps.extend(longhorn::recurring_trim());
    }
    if is_timers(case) {
        steps.extend(timer::mask(case));
        steps.extend(timer::spread(case));
        steps.extend(oem::persist(case));
    }
    steps.push(pieces::trim(case));
    steps
}

/// Whether systemd's timer started it.
fn is_timers(case: &Case<'_>) -> bool {
    let by_unit = |culprit| stop::unit(culprit) == Some("fstrim.service");
    case.culprits.iter().any(by_unit) || is_of(case, RoleKind::HostTrim)
}

fn is_of(case: &Case<'_>, kind: RoleKind) -> bool {
    let roles = case.culprits.iter().filter_map(|culprit| {
        let role = culprit.process.as_ref()?.role.as_ref()?;
        Some(role.kind)
    });
    roles.into_iter().any(|role| role == kind)
}
