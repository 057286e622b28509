//! From what was observed to what it means. Pure: reads no file, asks no kernel, knows no clock but
//! the capture's; the same capture gives the same report, also years later on another machine. The
//! rules are in `docs/principles.md`.

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
mod histogram;
#[cfg(test)]
mod hostile;
mod interval;
mod judge;
mod kernel_function;
mod lane;
mod latency;
mod loss;
mod names;
mod origin;
mod reason;
#[cfg(test)]
mod reason_tests;
mod request;
mod risk;
mod role;
mod run;
mod sleeper;
mod stack;
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
    let findings = findings(capture, &names);
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

/// The parts of the report that the verdict rests on.
struct Findings {
    os: Option<String>,
    window: model::Window,
    settings: model::Settings,
    hooks: Vec<model::Hook>,
    losses: model::Losses,
    devices: Vec<model::Device>,
    actors: Vec<model::Actor>,
    discards: Vec<model::DiscardGroup>,
    victims: Vec<model::Victim>,
    blame: Vec<model::Blame>,
    requests: model::Requests,
    blocked: Vec<model::BlockedTask>,
    /// Ids of these in the capture.
    blocked_ids: Vec<u32>,
    chains: Vec<model::Chain>,
    vms: Vec<model::Vm>,
    trim: model::TrimFacts,
}

fn findings(capture: &Capture, names: &Names<'_>) -> Findings {
    let (blocked_ids, blocked) = blocked::tasks(capture, names);
    let mut discards = discard::groups(capture, names);
    let window = (capture.window.start_ns, capture.window.end_ns);
    discard::infer_origins(&mut discards, &blocked, window);
    let requests = request::requests(capture, names);
    let victims = exposure::victims(capture, names, &discards);
    let devices = device::devices(
        capture,
        names,
        &stall::Inputs {
            discards: &discards,
            requests: &requests,
        },
    );
    let blame = blame::tables(capture, &discards, |disk| names.device(disk));
    Findings {
        os: capture.host.os.clone(),
        window: run::window(&capture.window),
        settings: run::settings(&capture.settings),
        hooks: run::hooks(&capture.hooks),
        losses: loss::losses(capture),
        devices,
        actors: actor::actors(capture, names),
        chains: chain::chains(capture, names, &blame),
        blame,
        discards,
        victims,
        requests,
        blocked,
        blocked_ids,
        vms: vm::vms(capture, names),
        trim: trim::facts(capture, names),
    }
}

/// `part / whole`; nothing when there is no whole.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| significant(part as f64 / whole as f64))
}

/// A ratio to six significant digits: what is beyond is noise, and a short decimal is read back as it was.
pub(crate) fn significant(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// Mean of a sum, rounded down.
const fn mean(sum: u64, count: u64) -> Option<u64> {
    sum.checked_div(count)
}
