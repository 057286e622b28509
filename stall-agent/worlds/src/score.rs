//! A verdict held against the truth. All that knows what a verdict looks like is here; it is read by the names that the
//! report's contract has.

use serde_json::Value;
use stall_capture::Capture;
use stall_report::model::Report;

use crate::log::Log;
use crate::people;
use crate::truth::{Episode, Role, State, Truth};
use crate::world::{Party, World};

/// How sure a verdict is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Low,
    Medium,
    High,
}

/// What a verdict says, in the words of the truth.
#[derive(Clone, Debug)]
pub struct Said {
    pub kind: String,
    pub level: Option<Level>,
    /// Whom its headline holds responsible.
    pub named: Vec<Named>,
    /// Whom its other episodes do.
    pub also_named: Vec<Named>,
    pub sentence: String,
}

/// Somebody held responsible.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Named {
    pub party: usize,
    /// Part of the excess, where it says one.
    pub share: Option<f64>,
    pub level: Option<Level>,
}

/// What that is worth.
#[derive(Clone, Debug, Default)]
pub struct Mark {
    pub is_right: bool,
    pub is_inconclusive: bool,
    pub says_calm: bool,
    /// Named, and nobody waits less without it; with the level it is named at.
    pub innocents: Vec<(usize, Level)>,
    /// There is somebody without whom half or more is gone.
    pub has_culprit: bool,
    /// One of these is named.
    pub found: bool,
    /// Of each culprit named with a share: by how much that is off.
    pub share_errors: Vec<f64>,
}

/// Reads a verdict.
#[must_use]
pub fn said(report: &Report, capture: &Capture, world: &World, log: &Log) -> Said {
    let verdict = serde_json::to_value(&report.verdict).unwrap_or_default();
    let reader = Reader {
        capture,
        world,
        log,
    };
    let episodes = verdict["episodes"].as_array();
    let others = episodes.into_iter().flatten().skip(1);
    Said {
        kind: kind(&verdict),
        level: level(&verdict),
        named: reader.named(&verdict),
        also_named: others.flat_map(|episode| reader.named(episode)).collect(),
        sentence: verdict["sentence"].as_str().unwrap_or_default().to_owned(),
    }
}

/// The second version's name of a kind.
fn kind(said: &Value) -> String {
    let kind = said["kind"].as_str().unwrap_or_default();
    let kind = match kind {
        "heavy_neighbour" => "noisy_neighbor",
        "above_the_disk" => "upstream_storage",
        other => other,
    };
    kind.to_owned()
}

fn level(said: &Value) -> Option<Level> {
    match said["confidence"].as_str()? {
        "high" => Some(Level::High),
        "medium" => Some(Level::Medium),
        "low" => Some(Level::Low),
        _ => None,
    }
}

struct Reader<'a> {
    capture: &'a Capture,
    world: &'a World,
    log: &'a Log,
}

impl Reader<'_> {
    fn named(&self, said: &Value) -> Vec<Named> {
        let culprits = said["culprits"].as_array().into_iter().flatten();
        let mut all: Vec<Named> = Vec::new();
        for culprit in culprits {
            // An episode's culprits are parties; the verdict's have one.
            let party = if culprit["party"].is_object() {
                &culprit["party"]
            } else {
                culprit
            };
            let Some(index) = self.party(culprit, party) else {
                continue;
            };
            if !all.iter().any(|known| known.party == index) {
                all.push(Named {
                    party: index,
                    share: culprit["share"]
                        .as_f64()
                        .or_else(|| party["share"].as_f64()),
                    level: level(said),
                });
            }
        }
        all
    }

    fn party(&self, culprit: &Value, party: &Value) -> Option<usize> {
        let actor = || {
            let id = culprit["actor"].as_u64()?;
            let process = self
                .capture
                .actor(u32::try_from(id).ok()?)?
                .process
                .as_ref()?;
            Some(u64::from(process.pid))
        };
        let pid = party["main_pid"]
            .as_u64()
            .or_else(|| culprit["process"]["pid"].as_u64())
            .or_else(actor);
        let process = self
            .log
            .processes
            .iter()
            .find(|process| Some(u64::from(process.pid)) == pid);
        process
            .and_then(|process| process.party)
            .or_else(|| self.by_name(party))
    }

    /// Who is meant by a name, when no process is.
    fn by_name(&self, said: &Value) -> Option<usize> {
        let name = said["name"].as_str()?;
        let is_meant = |(index, party): (usize, &Party)| {
            party.who.name == name || party.who.comm == name || people::cgroup(index, party) == name
        };
        let mut parties = self.world.parties.iter().enumerate();
        parties.position(is_meant)
    }
}

/// Marks it.
#[must_use]
pub fn mark(truth: &Truth, said: &Said) -> Mark {
    let all = || said.named.iter().chain(&said.also_named);
    let wronged = |named: &Named| (named.party, named.level.unwrap_or(Level::Low));
    let mut mark = Mark {
        is_inconclusive: said.kind == "inconclusive",
        says_calm: said.kind == "no_stall",
        ..Mark::default()
    };
    match truth.state {
        State::Calm => {
            mark.is_right = mark.says_calm;
            mark.innocents = all().map(wronged).collect();
            return mark;
        }
        State::Grey => {
            mark.is_right = true;
            return mark;
        }
        State::Hurt => {}
    }
    let episodes = || truth.episodes.iter();
    let is_innocent =
        |named: &&Named| episodes().all(|one| one.role(named.party) == Role::Innocent);
    let is_culprit = |named: &Named| episodes().any(|one| one.role(named.party) == Role::Culprit);
    mark.has_culprit = episodes().any(|episode| episode.culprits().next().is_some());
    mark.innocents = all().filter(is_innocent).map(wronged).collect();
    mark.found = all().any(is_culprit);
    for named in all() {
        let role = |episode: &&Episode| episode.role(named.party) == Role::Culprit;
        if let (Some(share), Some(episode)) = (named.share, episodes().find(role)) {
            mark.share_errors
                .push((share - episode.shares[named.party]).abs());
        }
    }
    // The headline may be any episode that costs about as much as the costliest.
    let most = episodes()
        .map(|episode| episode.excess_ns)
        .max()
        .unwrap_or(0);
    let mut near = episodes().filter(|episode| 2 * episode.excess_ns >= most);
    let accuses_innocent = said.named.iter().any(|named| is_innocent(&named));
    mark.is_right = near.any(|episode| fits(episode, said)) && !accuses_innocent;
    mark
}

/// Whether a verdict names the cause of an episode, and of culprits one that is.
fn fits(episode: &Episode, said: &Said) -> bool {
    const ACCUSES: [&str; 5] = [
        "noisy_neighbor",
        "host_trim",
        "guest_trim",
        "other_discards",
        "lock_holder",
    ];
    let kind = said.kind.as_str();
    let share = |named: &Named| episode.shares.get(named.party).copied().unwrap_or(0.0);
    // Several who do it together may be told as neighbors, or as an overload.
    let together = said.named.iter().map(share).sum::<f64>() >= 0.5;
    if kind == "noisy_neighbor" && episode.kinds.contains("overload") {
        return together;
    }
    let is_culprit = |named: &Named| episode.role(named.party) == Role::Culprit;
    episode.kinds.contains(kind)
        && (!ACCUSES.contains(&kind) || together || said.named.iter().any(is_culprit))
}
