//! What is true of a world, found by playing it again; the definitions are at the head of the crate.

use std::collections::BTreeSet;

use crate::play::{Change, Played, Wait, play};
use crate::world::{Does, Ns, S, World};

/// Names of causes, as the report has them.
pub type Kind = &'static str;

/// Of the longest stretch that is looked at by itself.
const STRETCH: Ns = 10 * S;
/// A party whose work takes less of the disks' time than this part of the episode, and less than half a second, is innocent
/// without being left out for a play.
const NO_WORK: f64 = 0.015;
/// From which share of the disks' time on somebody would suspect it.
const SUSPICIOUS: f64 = 0.05;

/// Whether there is anything to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Calm,
    /// Between; either answer is right.
    Grey,
    Hurt,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct Truth {
    pub state: State,
    /// One for each part of the world with trouble in it, the costliest first.
    pub episodes: Vec<Episode>,
    /// By party: whether somebody who sees its work on the disk that is judged would suspect it.
    pub suspicious: Vec<bool>,
}

/// Trouble in one part of the window.
#[derive(Clone, Debug)]
pub struct Episode {
    /// Since the world began.
    pub from: Ns,
    pub to: Ns,
    /// Parties that waited for others, or for themselves if nobody else did.
    pub victims: Vec<usize>,
    /// Parties that waited for themselves.
    pub own: Vec<usize>,
    /// What the victims waited in excess, all together.
    pub excess_ns: Ns,
    /// By party: by which part of 1 the others' excess falls without it.
    pub shares: Vec<f64>,
    /// Names of the cause that are right; none where playing again finds none.
    pub kinds: BTreeSet<Kind>,
}

/// What a party is for the trouble of an episode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Innocent,
    /// Between.
    Contributor,
    Culprit,
}

impl Episode {
    /// What a party is.
    #[must_use]
    pub fn role(&self, party: usize) -> Role {
        match self.shares.get(party) {
            Some(share) if *share >= 0.5 => Role::Culprit,
            Some(share) if *share >= 0.1 || self.own.contains(&party) => Role::Contributor,
            _ => Role::Innocent,
        }
    }

    /// Those without whom half or more is gone.
    pub fn culprits(&self) -> impl Iterator<Item = usize> {
        (0..self.shares.len()).filter(|party| self.role(*party) == Role::Culprit)
    }
}

/// Finds it; `played` is the world as it was.
#[must_use]
pub fn truth(world: &World, played: &Played) -> Truth {
    let parts = world.parts();
    let mut state = State::Calm;
    let mut hurt = Vec::new();
    for part in &parts {
        let losses = losses(world, played, *part);
        let of = losses.iter().map(|(state, _)| *state);
        let worst = of.max_by_key(|state| *state as u8).unwrap_or(State::Calm);
        if worst as u8 > state as u8 {
            state = worst;
        }
        let is_hurt = |(_, (of, _)): &(usize, &(State, Ns))| *of == State::Hurt;
        let parties = losses.iter().enumerate().filter(is_hurt);
        let parties = parties.map(|(party, _)| party).collect::<Vec<_>>();
        hurt.push((
            parties,
            losses.iter().map(|(_, lost)| *lost).collect::<Vec<_>>(),
        ));
    }
    let mut episodes = Vec::new();
    if state == State::Hurt {
        let mut again = Again::new(world, played);
        for (part, (hurt, losses)) in parts.iter().zip(hurt) {
            if !hurt.is_empty() {
                episodes.push(again.episode(*part, &hurt, &losses));
            }
        }
        episodes.sort_by_key(|episode| std::cmp::Reverse(episode.excess_ns));
        // Nothing that playing again finds: nobody can be right or wrong about it.
        if episodes.iter().all(|episode| episode.kinds.is_empty()) {
            state = State::Grey;
        }
    }
    Truth {
        suspicious: suspicious(world, played, &episodes),
        state,
        episodes,
    }
}

/// By party: whether it does much on a disk on which victims wait, or on any when there are none.
fn suspicious(world: &World, played: &Played, episodes: &[Episode]) -> Vec<bool> {
    let victims: Vec<usize> = episodes
        .iter()
        .flat_map(|one| one.victims.clone())
        .collect();
    let waits = played
        .waits
        .iter()
        .filter(|wait| victims.contains(&wait.party));
    let judged: BTreeSet<usize> = waits.map(|wait| wait.disk).collect();
    let of = |party: usize| {
        let streams = &world.parties[party].streams;
        let most = played.served_ns[party].max(played.discarding_ns[party]);
        let is_there = streams.iter().any(|stream| judged.contains(&stream.disk));
        most as f64 > SUSPICIOUS * world.window as f64 && (is_there || judged.is_empty())
    };
    (0..world.parties.len()).map(of).collect()
}

/// Of each party: how much of its time it lost, and what that amounts to.
fn losses(world: &World, played: &Played, part: (Ns, Ns)) -> Vec<(State, Ns)> {
    let parties = world.parties.len();
    let mut plain = vec![Vec::new(); parties];
    let mut noticed = vec![Vec::new(); parties];
    for wait in played.waits.iter().filter(|wait| is_in(wait, part)) {
        noticed[wait.party].push((wait.from, wait.to));
        if wait.plain {
            plain[wait.party].push((wait.from, wait.to));
        }
    }
    let window = part.1 - part.0;
    let of = |party: usize| {
        let (plain, noticed) = (union(&plain[party]), union(&noticed[party]));
        let (sum, most) = (total(&plain), densest(&plain));
        if sum >= window / 50 || most >= S {
            return (State::Hurt, sum);
        }
        let (sum, most) = (total(&noticed), densest(&noticed));
        if sum < window / 200 && most < 3 * S / 10 {
            (State::Calm, sum)
        } else {
            (State::Grey, sum)
        }
    };
    (0..parties).map(of).collect()
}

fn is_in(wait: &Wait, part: (Ns, Ns)) -> bool {
    let middle = u64::midpoint(wait.from, wait.to);
    part.0 <= middle && middle < part.1
}

/// Spans that do not overlap.
fn union(spans: &[(Ns, Ns)]) -> Vec<(Ns, Ns)> {
    let mut spans = spans.to_vec();
    spans.sort_unstable();
    let mut all: Vec<(Ns, Ns)> = Vec::new();
    for (from, to) in spans {
        match all.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => all.push((from, to)),
        }
    }
    all
}

fn total(spans: &[(Ns, Ns)]) -> Ns {
    spans
        .iter()
        .map(|(from, to)| to.saturating_sub(*from))
        .sum()
}

/// The most of it in any stretch, which begin at every half of one.
fn densest(spans: &[(Ns, Ns)]) -> Ns {
    let mut by_half = std::collections::BTreeMap::<Ns, Ns>::new();
    let half = STRETCH / 2;
    for (from, to) in spans {
        let mut now = *from;
        while now < *to {
            let end = ((now / half + 1) * half).min(*to);
            *by_half.entry(now / half).or_default() += end - now;
            now = end;
        }
    }
    let two = |(place, first): (&Ns, &Ns)| first + by_half.get(&(place + 1)).unwrap_or(&0);
    by_half.iter().map(two).max().unwrap_or(0)
}

/// Plays a world again, each change once.
struct Again<'a> {
    world: &'a World,
    played: &'a Played,
    plays: Vec<(Key, Played)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Without(usize),
    Only(Vec<usize>),
    OneAtATime(usize),
    Healthy,
    Unlimited,
}

impl<'a> Again<'a> {
    const fn new(world: &'a World, played: &'a Played) -> Self {
        Self {
            world,
            played,
            plays: Vec::new(),
        }
    }

    /// What parties wait in excess in a part of the window, for as many requests as they had in the world as it was: who
    /// waits less asks for more.
    fn excess(&mut self, key: &Key, part: (Ns, Ns), parties: &[usize]) -> Ns {
        let mut sum = 0.0;
        for party in parties {
            let before = self.world.before;
            let now = ended(&self.played.ended[*party], before, part);
            let again = self.again(key);
            let then = ended(&again.ended[*party], before, part);
            let more = f64::from(then) / f64::from(now.max(1));
            sum += excess(&again.waits, part, &[*party]) as f64 / more.max(1.0);
        }
        sum as Ns
    }

    /// The world played again, once for each change.
    fn again(&mut self, key: &Key) -> &Played {
        let place = self.plays.iter().position(|(of, _)| of == key);
        let place = place.unwrap_or_else(|| {
            let again = play(self.world, &self.change(key), None);
            self.plays.push((key.clone(), again));
            self.plays.len() - 1
        });
        &self.plays[place].1
    }

    fn change(&self, key: &Key) -> Change {
        let all = 0..self.world.parties.len();
        let others = |those: &[usize]| all.filter(|party| !those.contains(party)).collect();
        match key {
            Key::Without(party) => Change {
                without: vec![*party],
                ..Change::default()
            },
            Key::Only(parties) => Change {
                without: others(parties),
                ..Change::default()
            },
            Key::OneAtATime(party) => Change {
                without: others(&[*party]),
                one_at_a_time: Some(*party),
                ..Change::default()
            },
            Key::Healthy => Change {
                healthy: true,
                ..Change::default()
            },
            Key::Unlimited => Change {
                unlimited: true,
                ..Change::default()
            },
        }
    }

    fn episode(&mut self, part: (Ns, Ns), hurt: &[usize], losses: &[Ns]) -> Episode {
        let (own, others): (Vec<usize>, Vec<usize>) = hurt
            .iter()
            .partition(|party| self.is_own_load(part, **party));
        let is_own = others.is_empty();
        let victims = if is_own { own.clone() } else { others };
        let excess_ns = excess(&self.played.waits, part, &victims);
        let shares = self.shares(part, &victims);
        let mut kinds = BTreeSet::new();
        for (party, share) in shares.iter().enumerate() {
            if *share >= 0.5 {
                kinds.extend(kinds_of(self.world.parties[party].does));
            }
        }
        let half = |left: Ns| left * 2 <= excess_ns;
        if self.has_limit() && half(self.excess(&Key::Unlimited, part, &victims)) {
            kinds.extend(self.limits());
        }
        if half(self.excess(&Key::Healthy, part, &victims)) {
            kinds.extend(self.troubles());
        }
        let all = |parties: &[usize]| parties.iter().map(|party| losses[*party]).sum::<Ns>();
        if !is_own && all(&own) >= 4 * all(&victims) {
            kinds.extend(["own_load"]);
        }
        if is_own && victims.iter().all(|party| !self.is_limited(*party)) {
            kinds.extend(["own_load"]);
            // Its own trim, its own flushes.
            let works = |party: &&usize| self.world.parties[**party].does != Does::Load;
            let own = victims.iter().filter(works);
            kinds.extend(own.flat_map(|party| kinds_of(self.world.parties[*party].does)));
            if victims
                .iter()
                .any(|party| self.world.parties[*party].does == Does::Dirties)
            {
                kinds.extend(["dirty_throttling"]);
            }
        } else if shares.iter().filter(|share| **share >= 0.5).count() >= 3 {
            // At the very edge of what a disk can do, each of many is one too many.
            kinds.extend(["overload"]);
        } else if !shares.iter().any(|share| *share >= 0.5) && !is_own {
            let alone: Ns = victims
                .iter()
                .map(|party| self.excess(&Key::Only(vec![*party]), part, &[*party]))
                .sum();
            if half(alone) && kinds.is_empty() {
                kinds.extend(["overload"]);
            }
        }
        Episode {
            from: part.0,
            to: part.1,
            own,
            victims,
            excess_ns,
            shares,
            kinds,
        }
    }

    /// Alone it waits as much, and one thing at a time it does not; or it waits for memory that only it fills.
    fn is_own_load(&mut self, part: (Ns, Ns), party: usize) -> bool {
        let now = lost(&self.played.waits, part, party);
        let alone = lost(&self.again(&Key::Only(vec![party])).waits, part, party);
        if alone * 2 < now {
            return false;
        }
        if self.world.parties[party].does == Does::Dirties {
            return true;
        }
        let one = lost(&self.again(&Key::OneAtATime(party)).waits, part, party);
        one * 2 < alone
    }

    fn shares(&mut self, part: (Ns, Ns), victims: &[usize]) -> Vec<f64> {
        let least = (((part.1 - part.0) as f64 * NO_WORK) as Ns).min(S / 2);
        let parties = self.world.parties.len();
        let share = |party: usize| {
            let others: Vec<usize> = victims
                .iter()
                .copied()
                .filter(|one| *one != party)
                .collect();
            if others.is_empty() || self.played.served_ns[party] < least {
                return 0.0;
            }
            let now = excess(&self.played.waits, part, &others);
            if now == 0 {
                return 0.0;
            }
            let without = self.excess(&Key::Without(party), part, &others);
            (1.0 - without as f64 / now as f64).max(0.0)
        };
        (0..parties).map(share).collect()
    }

    fn is_limited(&self, party: usize) -> bool {
        self.world.parties[party].limit.is_some()
    }

    fn has_limit(&self) -> bool {
        let disks = self.world.disks.iter().any(|disk| disk.limit.is_some());
        disks
            || !self.world.freezes.is_empty()
            || self.world.parties.iter().any(|party| party.limit.is_some())
    }

    fn limits(&self) -> Vec<Kind> {
        let mut kinds = Vec::new();
        if self.world.parties.iter().any(|party| party.limit.is_some()) {
            kinds.push("cgroup_limit");
        }
        if self.world.disks.iter().any(|disk| disk.limit.is_some()) {
            kinds.push("upstream_storage");
        }
        if !self.world.freezes.is_empty() {
            kinds.push("frozen");
        }
        kinds
    }

    /// What is wrong with the disks.
    fn troubles(&self) -> Vec<Kind> {
        let disks = &self.world.disks;
        let mut kinds = vec!["slow_device"];
        if disks.iter().any(|disk| disk.flush_slowness > 1.0) {
            kinds.push("flushes");
        }
        let stands = |disk: &crate::world::Disk| {
            let mut phases = disk.phases.iter();
            phases.any(|phase| phase.slower.is_infinite() && phase.to - phase.from >= S / 2)
                || disk.hangs_in_discard_at.is_some()
        };
        if disks.iter().any(stands) {
            kinds.push("device_hang");
        }
        if disks
            .iter()
            .any(|disk| disk.class == crate::world::Class::Network)
        {
            kinds.push("upstream_storage");
        }
        kinds
    }
}

/// Waits of a party that ended in a part of the window, of their numbers in each second.
fn ended(by_second: &[u32], before: Ns, (from, to): (Ns, Ns)) -> u32 {
    let second = |time: Ns| ((time - before) / S) as usize;
    by_second[second(from)..second(to).min(by_second.len())]
        .iter()
        .sum()
}

/// Time in which a party waited for anything in excess.
fn lost(waits: &[Wait], part: (Ns, Ns), party: usize) -> Ns {
    let own = waits
        .iter()
        .filter(|wait| wait.party == party && is_in(wait, part));
    let spans: Vec<_> = own.map(|wait| (wait.from, wait.to)).collect();
    total(&union(&spans))
}

fn excess(waits: &[Wait], part: (Ns, Ns), parties: &[usize]) -> Ns {
    let those = waits
        .iter()
        .filter(|wait| parties.contains(&wait.party) && is_in(wait, part));
    those.map(|wait| wait.to.saturating_sub(wait.from)).sum()
}

/// What a culprit is called.
fn kinds_of(does: Does) -> Vec<Kind> {
    match does {
        Does::Load => vec!["noisy_neighbor"],
        Does::HostTrim => vec!["host_trim"],
        Does::GuestTrim => vec!["guest_trim"],
        Does::OtherDiscards => vec!["other_discards"],
        Does::Flushes => vec!["flushes", "noisy_neighbor"],
        Does::JournalData => vec!["lock_holder", "noisy_neighbor"],
        Does::Dirties => vec!["noisy_neighbor", "dirty_throttling"],
    }
}
