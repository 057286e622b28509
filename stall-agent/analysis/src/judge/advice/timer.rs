//! `fstrim.timer`: off, or spread over hours, on the running system.

use super::case::Case;
use super::step::{self, Step};

/// Longer than the working hours of a night, shorter than a day.
pub(super) const SPREAD: &str = "12h";
pub(super) const DROP_IN: &str = "/etc/systemd/system/fstrim.timer.d/10-spread.conf";

/// Unless it is.
pub(super) fn mask(case: &Case<'_>) -> Option<Step> {
    if case.findings.trim.timer.masked {
        return None;
    }
    Some(
        step::for_good("keep the timer from starting it again, until the disk takes discards well")
            .command("systemctl mask --now fstrim.timer fstrim.service")
            .changes(
                "links both units to /dev/null below /etc/systemd/system: nobody starts the trim, by hand neither",
            )
            .risk(
                "space that files gave up is no longer told to the disk: a thin volume does not shrink and an SSD may \
                 get slower over months; trim by hand at a quiet hour instead",
            )
            .undo("systemctl unmask fstrim.timer fstrim.service && systemctl start fstrim.timer")
            .source("systemctl(1); masked and not only disabled, since an image's own link can come back at boot"),
    )
}

/// Instead of that: not all hosts at midnight on Monday.
pub(super) fn spread(case: &Case<'_>) -> Option<Step> {
    let timer = &case.findings.trim.timer;
    if timer.masked || timer.randomized_delay.as_deref() == Some(SPREAD) {
        return None;
    }
    Some(
        step::for_good(format!(
            "or keep it, spread over {SPREAD}, where several hosts trim disks of one storage{}",
            today(timer.calendar.as_deref(), timer.randomized_delay.as_deref())
        ))
        .command(format!(
            "mkdir -p {} && printf '%s\\n' '[Timer]' 'RandomizedDelaySec={SPREAD}' > {DROP_IN} && systemctl daemon-reload",
            DROP_IN.rsplit_once('/').map_or(DROP_IN, |(folder, _)| folder)
        ))
        .changes("each run of fstrim.timer begins at a random time within these hours")
        .risk("one trim is as hard on its disk as before, and may now fall into the day")
        .undo(format!("rm {DROP_IN} && systemctl daemon-reload"))
        .source("systemd.timer(5), systemd.unit(5)"),
    )
}

fn today(calendar: Option<&str>, delay: Option<&str>) -> String {
    match (calendar, delay) {
        (Some(calendar), Some(delay)) => format!(" (now: {calendar}, spread over {delay})"),
        (Some(calendar), None) => format!(" (now: {calendar}, not spread)"),
        (None, _) => String::new(),
    }
}
