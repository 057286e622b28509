//! What each volume of a VM waited for.

use std::time::{Duration, UNIX_EPOCH};

use super::model::{Replica, Volume};
use crate::model::{Actor, ActorUse, Episode, Kind, LayerKind, RoleKind, VmDisk, VmLayer};
use crate::text::escape;
use crate::{Report, duration, kind_in_words};

/// A replica's disk is slow when so much of its requests is, and at least so many.
const SLOW_SHARE: f64 = 0.01;
const SLOW_LEAST: u64 = 3;

/// One report, and where it is from.
pub(super) struct Place<'a> {
    pub(super) file: &'a str,
    pub(super) report: &'a Report,
    /// Of the node, or of the file when it has none.
    pub(super) name: String,
    /// Of its window, since 1970.
    pub(super) start: Option<Duration>,
    pub(super) end: Option<Duration>,
}

impl<'a> Place<'a> {
    pub(super) fn new(file: &'a str, report: &'a Report) -> Self {
        let time = |text: &str| {
            let time = humantime::parse_rfc3339(text).ok()?;
            time.duration_since(UNIX_EPOCH).ok()
        };
        let name = report.host.hostname.as_deref().unwrap_or(file);
        Self {
            file,
            report,
            name: escape(name),
            start: time(&report.window.start),
            end: time(&report.window.end),
        }
    }

    fn overlaps(&self, other: &Place<'_>) -> bool {
        let (Some(start), Some(end)) = (self.start.max(other.start), self.end.min(other.end))
        else {
            return false;
        };
        start < end
    }

    /// Replicas of a volume whose processes are here, that did I/O.
    fn replicas(&self, volume: &str) -> Vec<&'a Actor> {
        let is_it = |actor: &&Actor| {
            let role = actor.process.as_ref().and_then(|it| it.role.as_ref());
            role.is_some_and(|role| {
                role.kind == RoleKind::LonghornReplica && role.volume.as_deref() == Some(volume)
            })
        };
        self.report.actors.iter().filter(is_it).collect()
    }

    /// Whether a pod with this address runs here.
    fn has_address(&self, host: &str) -> bool {
        let pods = self.report.actors.iter().filter_map(|actor| {
            let process = actor.process.as_ref()?;
            process.pod.as_ref()
        });
        pods.flat_map(|pod| &pod.addresses).any(|one| one == host)
    }
}

pub(super) fn volumes(places: &[Place<'_>], missing: &mut Vec<String>) -> Vec<Volume> {
    let mut volumes = Vec::new();
    for place in places {
        for vm in &place.report.vms {
            for disk in &vm.disks {
                let Some(name) = &disk.volume else { continue };
                let waited = waited(place.report, disk);
                if waited.slow_ops > 0 || waited.hangs {
                    let vm = escape(&vm.label);
                    volumes.push(volume(places, place, &vm, name, disk, &waited, missing));
                }
            }
        }
    }
    volumes
}

struct Waited {
    ops: u64,
    slow_ops: u64,
    slowest_ns: u64,
    /// A request to it has been outstanding for longer than what is slow.
    hangs: bool,
}

/// By the VM's own requests where they are known, else by all to the device.
fn waited(report: &Report, disk: &VmDisk) -> Waited {
    let of = |kind: LayerKind| -> Vec<&VmLayer> {
        let layers = disk.layers.iter();
        layers.filter(|layer| layer.layer == kind).collect()
    };
    let guest = of(LayerKind::Guest);
    let layers = if guest.is_empty() {
        of(LayerKind::Volume)
    } else {
        guest
    };
    let sum = |field: fn(&VmLayer) -> u64| {
        layers
            .iter()
            .fold(0u64, |sum, layer| sum.saturating_add(field(layer)))
    };
    let slow_ns = report.settings.slow_ns;
    let mut unfinished = report.requests.unfinished.iter();
    Waited {
        ops: sum(|layer| layer.ops),
        slow_ops: sum(|layer| layer.slow_ops),
        slowest_ns: layers
            .iter()
            .map(|layer| layer.slowest_ns)
            .max()
            .unwrap_or(0),
        hangs: unfinished.any(|request| {
            disk.device.as_ref() == Some(&request.device) && request.age_ns >= slow_ns
        }),
    }
}

fn volume(
    places: &[Place<'_>],
    home: &Place<'_>,
    vm: &str,
    name: &str,
    disk: &VmDisk,
    waited: &Waited,
    missing: &mut Vec<String>,
) -> Volume {
    let mut replicas = Vec::new();
    let mut told: Vec<&str> = Vec::new();
    for address in &disk.replica_addresses {
        let host = host_of(&address.address);
        let is_there = |place: &&Place<'_>| {
            if address.local == Some(true) {
                std::ptr::eq::<Report>(place.report, home.report)
            } else {
                place.has_address(host)
            }
        };
        let place = places.iter().find(is_there);
        let reach = Some(escape(&address.address));
        match place {
            Some(place) => {
                told.push(&place.name);
                replicas.extend(here(place, home, name, reach.as_ref()));
            }
            None => {
                missing.push(format!(
                    "the replica of {} at {} is on a node without a report: trace there, too",
                    escape(name),
                    escape(&address.address)
                ));
                replicas.push(Replica {
                    node: None,
                    address: reach,
                    device: None,
                    ops: 0,
                    slow_ops: 0,
                    mean_ns: None,
                    slowest_ns: 0,
                    slow: None,
                    cause: None,
                });
            }
        }
    }
    // One that was rebuilt since the controller started has an address that nobody was told.
    for place in places {
        let is_new = !told.contains(&place.name.as_str());
        if is_new && !place.replicas(name).is_empty() {
            replicas.extend(here(place, home, name, None));
        }
    }
    let answer = answer(vm, name, &home.name, &replicas);
    Volume {
        volume: escape(name),
        vm: vm.to_owned(),
        node: home.name.clone(),
        ops: waited.ops,
        slow_ops: waited.slow_ops,
        slowest_ns: waited.slowest_ns,
        replicas,
        answer,
    }
}

/// `tcp://10.52.1.44:10010`, `[fd00::1]:10000`
fn host_of(address: &str) -> &str {
    let place = address.strip_prefix("tcp://").unwrap_or(address);
    let host = place.rsplit_once(':').map_or(place, |(host, _)| host);
    host.trim_matches(['[', ']'])
}

/// The replica of a volume on a node that has a report; of an idle one there is no request to tell of.
fn here(
    place: &Place<'_>,
    home: &Place<'_>,
    volume: &str,
    address: Option<&String>,
) -> Vec<Replica> {
    let actors = place.replicas(volume);
    let uses: Vec<&ActorUse> = actors.iter().flat_map(|actor| &actor.uses).collect();
    let busiest = uses.iter().max_by_key(|used| (used.device_ns, used.ops));
    let device = busiest.map(|used| used.device.clone());
    let on_it = uses
        .iter()
        .filter(|used| Some(&used.device) == device.as_ref());
    let (mut ops, mut slow_ops, mut total_ns, mut slowest_ns) = (0u64, 0u64, 0u64, 0);
    for used in on_it {
        ops = ops.saturating_add(used.ops);
        slow_ops = slow_ops.saturating_add(used.slow_ops);
        total_ns = total_ns.saturating_add(used.total_ns);
        slowest_ns = slowest_ns.max(used.slowest_ns);
    }
    let is_slow = slow_ops >= SLOW_LEAST && slow_ops as f64 >= SLOW_SHARE * ops as f64;
    let slow_ns = place.report.settings.slow_ns;
    let mut unfinished = place.report.requests.unfinished.iter();
    let hangs = unfinished.any(|request| {
        actors.iter().any(|actor| actor.id == request.actor) && request.age_ns >= slow_ns
    });
    let slow = (place.overlaps(home) && (is_slow || hangs)).then_some(device.as_deref());
    vec![Replica {
        node: Some(place.name.clone()),
        address: address.cloned(),
        cause: slow.and_then(|device| cause(place.report, device?)),
        device: device.map(|device| escape(&device)),
        ops,
        slow_ops,
        mean_ns: total_ns.checked_div(ops),
        slowest_ns,
        // Seconds that were not seen together tell nothing of each other.
        slow: place.overlaps(home).then_some(is_slow || hangs),
    }]
}

/// What that node's verdict says of a disk.
fn cause(report: &Report, device: &str) -> Option<String> {
    let mut episodes = report.verdict.episodes.iter();
    let episode: &Episode = episodes.find(|one| one.device.as_deref() == Some(device))?;
    let who: Vec<&str> = episode
        .culprits
        .iter()
        .map(|party| party.label.as_str())
        .take(2)
        .collect();
    let what = kind_in_words(episode.kind);
    let text = match (episode.kind, who.as_slice()) {
        (Kind::Inconclusive, _) => return None,
        (_, []) => what.to_owned(),
        (_, who) => format!("{what}, {}", who.join(" and ")),
    };
    Some(escape(&text))
}

/// Whom the VM waits for.
fn answer(vm: &str, volume: &str, home: &str, replicas: &[Replica]) -> String {
    let begin = format!("VM {vm} on {home} waits on volume {}", escape(volume));
    let slow: Vec<String> = replicas
        .iter()
        .filter(|replica| replica.slow == Some(true))
        .map(|replica| {
            let node = replica.node.as_deref().unwrap_or("?");
            let device = replica.device.as_deref().unwrap_or("its disk");
            let cause = replica.cause.as_ref();
            let cause = cause.map_or_else(String::new, |cause| format!(" ({cause})"));
            format!(
                "its replica on {node} waits for {device}, up to {}{cause}",
                duration(replica.slowest_ns)
            )
        })
        .collect();
    let fine: Vec<&str> = replicas
        .iter()
        .filter(|replica| replica.slow == Some(false))
        .filter_map(|replica| replica.node.as_deref())
        .collect();
    let unknown = replicas
        .iter()
        .filter(|replica| replica.slow.is_none())
        .count();
    let fine = match fine.as_slice() {
        [] => String::new(),
        [one] => format!("; the replica on {one} is fine"),
        several => format!("; those on {} are fine", several.join(" and ")),
    };
    let unknown_of = match unknown {
        0 => String::new(),
        1 => "; of 1 replica there is no report of the same time".to_owned(),
        more => format!("; of {more} replicas there is no report of the same time"),
    };
    if !slow.is_empty() {
        return format!("{begin}: {}{fine}{unknown_of}", slow.join("; "));
    }
    match (replicas.is_empty(), unknown) {
        (true, _) => format!("{begin}, and no report tells where its replicas are"),
        (false, 0) => format!(
            "{begin}, and the disk of every replica is fast: the time is lost between them, in the network, the engine or iSCSI"
        ),
        (false, _) => format!("{begin}{fine}{unknown_of}: it may wait for what was not seen"),
    }
}
