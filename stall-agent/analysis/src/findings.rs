//! What is found before anything is judged: the parts of the report that the verdict rests on.

use crate::names::Names;
use crate::{
    actor, blame, blocked, chain, device, discard, exposure, loss, request, run, stall, trim, vm,
};
use stall_capture::Capture;
use stall_report::model;

/// Each as the report has it.
pub(crate) struct Findings {
    pub(crate) os: Option<String>,
    pub(crate) window: model::Window,
    pub(crate) settings: model::Settings,
    pub(crate) hooks: Vec<model::Hook>,
    pub(crate) losses: model::Losses,
    pub(crate) devices: Vec<model::Device>,
    pub(crate) actors: Vec<model::Actor>,
    pub(crate) discards: Vec<model::DiscardGroup>,
    pub(crate) victims: Vec<model::Victim>,
    pub(crate) blame: Vec<model::Blame>,
    pub(crate) requests: model::Requests,
    pub(crate) blocked: Vec<model::BlockedTask>,
    /// Ids of these in the capture.
    pub(crate) blocked_ids: Vec<u32>,
    pub(crate) chains: Vec<model::Chain>,
    pub(crate) vms: Vec<model::Vm>,
    pub(crate) trim: model::TrimFacts,
}

pub(crate) fn findings(capture: &Capture, names: &Names<'_>) -> Findings {
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
