//! Hosts that can be traced, and hosts that cannot.

use std::collections::BTreeMap;

use super::*;
use crate::kernel::catalog::{CATALOG, Kind};
use crate::kernel::support::{self, Facts};

/// Every field there is.
const RECENT: &[u8] = include_bytes!("../../../tests/fixtures/btf/6.18.15+deb13-amd64.btf");

/// What a kernel has that has every hook of the catalog.
fn facts() -> Facts {
    let tracepoints = CATALOG.iter().filter(|row| row.kind == Kind::Tracepoint);
    let tracepoints: BTreeMap<_, _> = tracepoints.map(|row| (row.hook, row.args.0)).collect();
    Facts {
        tracepoints,
        iterators: vec!["task"],
        layout: support::facts_of(RECENT).unwrap().layout,
        typed_current: true,
    }
}

fn good() -> Evidence {
    Evidence {
        capabilities: Some(0x0000_01ff_ffff_ffff),
        first_user_namespace: Some(true),
        bpf: Bpf::Works,
        lockdown: Some("none".to_owned()),
        types: KernelTypes::Facts(Box::new(facts())),
        symbols: Some(true),
        host_processes: Some(true),
        cached_files: Some(true),
    }
}

/// A good host whose kernel lacks a hook.
fn without(hook: &str) -> Evidence {
    let mut facts = facts();
    facts.tracepoints.remove(hook);
    Evidence {
        types: KernelTypes::Facts(Box::new(facts)),
        ..good()
    }
}

/// Name and code of the obstacle.
fn obstacle_of(evidence: &Evidence) -> Option<(String, u8)> {
    let capabilities = judge(evidence);
    let obstacle = obstacle(&capabilities)?;
    assert!(obstacle.lack.is_some() && obstacle.advice.is_some());
    Some((obstacle.name.clone(), obstacle.exit_code?))
}

fn find(evidence: &Evidence, name: &str) -> Option<Capability> {
    let mut all = judge(evidence).into_iter();
    all.find(|capability| capability.name == name)
}

#[test]
fn nothing_is_amiss_on_a_good_host() {
    let capabilities = judge(&good());
    assert!(
        capabilities
            .iter()
            .all(|capability| capability.state == State::Ok)
    );
    assert!(
        capabilities
            .iter()
            .all(|capability| capability.advice.is_none())
    );
    assert_eq!(obstacle(&capabilities), None);
    assert!(find(&good(), "hook block_rq_issue").is_some());
    assert!(
        find(&good(), "hook block_rq_insert").is_none(),
        "block_io_start serves"
    );
}

#[test]
fn two_capabilities_are_enough() {
    let with = |capabilities| Evidence {
        capabilities: Some(capabilities),
        ..good()
    };
    assert_eq!(obstacle_of(&with(1 << 38 | 1 << 39)), None);
    assert_eq!(obstacle_of(&with(1 << 21)), None);
    let refused = Some(("permission".to_owned(), code::NOT_PERMITTED));
    assert_eq!(obstacle_of(&with(1 << 39)), refused);
    assert_eq!(obstacle_of(&with(0)), refused);
}

#[test]
fn a_missing_capability_is_named() {
    let with = |capabilities| Evidence {
        capabilities: Some(capabilities),
        ..good()
    };
    let found = |capabilities| find(&with(capabilities), "permission").unwrap().found;
    assert_eq!(found(1 << 39), "CAP_PERFMON is missing");
    assert_eq!(found(1 << 38), "CAP_BPF is missing");
    assert_eq!(found(0), "neither root nor CAP_BPF and CAP_PERFMON");
    let two = with(1 << 38 | 1 << 39);
    assert_eq!(obstacle_of(&two), None);
    let lacking = |name| find(&two, &format!("capability {name}")).unwrap();
    for name in [
        "CAP_SYSLOG",
        "CAP_SYS_PTRACE",
        "CAP_DAC_READ_SEARCH",
        "CAP_SYS_ADMIN",
        "CAP_IPC_LOCK",
    ] {
        assert_eq!(lacking(name).state, State::Missing);
        assert!(lacking(name).lack.is_some() && lacking(name).advice.is_some());
    }
}

#[test]
fn each_obstacle_has_its_code() {
    let cases = [
        (
            Evidence {
                lockdown: Some("confidentiality".to_owned()),
                ..good()
            },
            "lockdown",
            code::LOCKDOWN,
        ),
        (
            Evidence {
                bpf: Bpf::Refused("Operation not permitted".to_owned()),
                ..good()
            },
            "bpf",
            code::NOT_PERMITTED,
        ),
        (
            Evidence {
                types: KernelTypes::Absent,
                ..good()
            },
            "btf",
            code::NO_BTF,
        ),
        (
            Evidence {
                types: KernelTypes::Unfit("no request.q".to_owned()),
                ..good()
            },
            "btf",
            code::HOOK_MISSING,
        ),
        (
            without("block_rq_issue"),
            "hook block_rq_issue",
            code::HOOK_MISSING,
        ),
    ];
    for (evidence, name, code) in cases {
        assert_eq!(obstacle_of(&evidence), Some((name.to_owned(), code)));
    }
}

#[test]
fn what_cannot_be_found_out_is_no_obstacle() {
    let evidence = Evidence {
        types: KernelTypes::Present,
        ..Evidence::default()
    };
    assert_eq!(obstacle_of(&evidence), None);
    assert_eq!(find(&evidence, "lockdown").unwrap().state, State::Unknown);
    assert!(find(&evidence, "lockdown").unwrap().advice.is_some());
}

#[test]
fn a_missing_optional_hook_costs_a_part_of_the_report() {
    let evidence = without("block_rq_requeue");
    assert_eq!(obstacle_of(&evidence), None);
    let hook = find(&evidence, "hook block_rq_requeue").unwrap();
    assert_eq!(hook.state, State::Missing);
    assert_eq!(hook.lack.as_deref(), Some("requeues are not counted"));
}

#[test]
fn a_stand_in_is_good_enough() {
    let evidence = without("block_io_start");
    assert_eq!(obstacle_of(&evidence), None);
    assert!(find(&evidence, "hook block_io_start").is_none());
    assert_eq!(
        find(&evidence, "hook block_rq_insert").unwrap().state,
        State::Ok
    );
}

#[test]
fn a_container_is_told_apart() {
    let evidence = Evidence {
        host_processes: Some(false),
        symbols: Some(false),
        ..good()
    };
    assert_eq!(obstacle_of(&evidence), None);
    assert!(
        find(&evidence, "host_processes")
            .unwrap()
            .advice
            .unwrap()
            .contains("hostPID")
    );
    assert_eq!(
        find(&evidence, "kernel_symbols").unwrap().state,
        State::Missing
    );
}

#[test]
fn this_machine_gives_evidence() {
    let evidence = gather(&HostRoot::default());
    assert!(evidence.capabilities.is_some());
    assert!(judge(&evidence).len() >= 6);
}
