//! What lowers confidence, and what leaves it alone.

use super::*;

#[test]
fn of_two_origins_neither_is_sure() {
    let builder =
        host_trim("fstrim")
            .actor(WRITER, "dd")
            .discards(WRITER, 0, BLKDISCARD, 400, 30 * MS);
    let report = report(builder);
    is(&report, Kind::HostTrim, Some(Confidence::Medium));
    assert_eq!(report.verdict.lowered[0].by, LoweredBy::MixedOrigins);
}

#[test]
fn loss_lowers_confidence() {
    let lost = |count| {
        let loss = Loss {
            cause: "requests_map_full".to_owned(),
            count,
        };
        report(host_trim("fstrim").with(|capture| capture.loss.push(loss)))
    };
    is(&lost(100), Kind::HostTrim, Some(Confidence::High));
    is(&lost(2_000), Kind::HostTrim, Some(Confidence::Medium));
    is(&lost(85_000), Kind::HostTrim, Some(Confidence::Low));
    assert_eq!(lost(85_000).verdict.lowered[0].by, LoweredBy::LostRequests);
}

#[test]
fn much_loss_or_a_missing_hook_is_no_proof_of_health() {
    let lost = Loss {
        cause: "requests_map_full".to_owned(),
        count: 1_000,
    };
    let builder = Builder::of_disks(vec![disk("sda")]).with(|capture| capture.loss.push(lost));
    is(&report(builder), Kind::Inconclusive, None);
    let blind = Builder::of_disks(vec![disk("sda")])
        .with(|capture| capture.hooks[0].state = HookState::Missing);
    let report = report(blind);
    is(&report, Kind::Inconclusive, None);
    assert_eq!(report.verdict.stalled, None);
}

#[test]
fn a_short_window_is_low() {
    let short = |builder: Builder| {
        report(builder.with(|capture| capture.window.end_ns = capture.window.start_ns + 2 * SECOND))
    };
    is(
        &short(Builder::of_disks(vec![disk("sda")])),
        Kind::NoStall,
        Some(Confidence::Low),
    );
}
