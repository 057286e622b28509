//! From what was observed to what it means. Pure: reads no file, asks no kernel, knows no clock but
//! the capture's; the same capture gives the same report, also years later on another machine. The
//! rules are in `docs/principles.md`.

#![forbid(unsafe_code)]

mod actor;
mod batch;
mod blame;
mod blocked;
mod chain;
#[cfg(test)]
mod chain_tests;
pub mod comparison;
mod device;
mod discard;
mod exposure;
mod family;
mod findings;
mod histogram;
#[cfg(test)]
mod hostile;
mod interval;
mod judge;
mod kernel_function;
mod lane;
mod latency;
mod layers;
mod loss;
mod names;
mod number;
mod origin;
mod reason;
#[cfg(test)]
mod reason_tests;
mod request;
mod risk;
mod role;
mod run;
mod sleeper;
mod stall;
mod symbol;
mod total;
mod trim;
mod view;
mod vm;

#[cfg(test)]
mod test_capture;
#[cfg(test)]
mod test_report;

use names::Names;
use stall_capture::Capture;
use stall_report::model;

/// Judges a capture.
#[must_use]
pub fn analyze(capture: &Capture) -> model::Report {
    let names = Names::new(capture);
    let findings = findings::findings(capture, &names);
    let verdict = judge::judge(capture, &names, &findings);
    let mut report = model::Report {
        schema: model::SCHEMA.to_owned(),
        verdict,
        incident: model::Incident::default(),
        agent: run::agent(capture),
        host: run::host(&capture.host, view::view(&capture.inventory.view)),
        window: findings.window,
        settings: findings.settings,
        hooks: findings.hooks,
        coverage_gaps: run::coverage_gaps(capture),
        losses: findings.losses,
        devices: findings.devices,
        actors: findings.actors,
        vms: findings.vms,
        trim: findings.trim,
        name_gaps: view::gaps(capture),
        discards: findings.discards,
        victims: findings.victims,
        blame: findings.blame,
        requests: findings.requests,
        blocked: findings.blocked,
        chains: findings.chains,
        intervals: interval::intervals(capture, &names, &findings.blocked_ids),
        stacks: run::stacks(&capture.stacks),
        capture: None,
    };
    report.incident = stall_report::incident(&report);
    report
}
