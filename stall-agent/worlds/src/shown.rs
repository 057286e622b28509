//! One world for people: what there is, what is true of it, and what the judge says.

use std::fmt::Write as _;

use crate::Tried;
use crate::truth::{Episode, Role, State};
use crate::world::{MS, Ns};

/// In lines.
#[must_use]
pub fn shown(tried: &Tried) -> String {
    let mut text = String::new();
    what_there_is(&mut text, tried);
    what_is_true(&mut text, tried);
    what_is_said(&mut text, tried);
    text
}

const fn seconds(ns: Ns) -> f64 {
    ns as f64 / 1e9
}

/// Writing to a string does not fail.
macro_rules! say {
    ($to:expr, $($what:tt)*) => {{ let _infallible = writeln!($to, $($what)*); }};
}

fn what_there_is(text: &mut String, tried: &Tried) {
    let (world, judged) = (&tried.world, &tried.judged);
    let (family, number) = (judged.family, judged.number);
    let (window, ended) = (seconds(world.window), tried.played.log.ended.len());
    say!(text, "{family} {number}: {window:.0} s, {ended} requests");
    for disk in &world.disks {
        let mut disk = disk.clone();
        // Without the hiccups that are in every world.
        disk.phases.retain(|phase| phase.to - phase.from > 40 * MS);
        say!(text, "disk {disk:?}");
    }
    for (caches, journals) in world.caches.iter().zip(&world.journals) {
        say!(text, "{caches:?} {journals:?}");
    }
    for (index, party) in world.parties.iter().enumerate() {
        let own = tried.played.waits.iter().filter(|wait| wait.party == index);
        let waits: Ns = own.map(|wait| wait.to - wait.from).sum();
        let shares = judged
            .truth
            .episodes
            .iter()
            .map(|episode| episode.shares[index]);
        let shares: Vec<_> = shares.map(|share| format!("{share:.2}")).collect();
        say!(
            text,
            "party {index} {} ({:?}, {:?}): served {:.3} s, discarding {:.3} s, waits {:.3} s, shares {shares:?}{}",
            party.who.name,
            party.who.kind,
            party.does,
            seconds(tried.played.served_ns[index]),
            seconds(tried.played.discarding_ns[index]),
            seconds(waits),
            if judged.truth.suspicious[index] {
                ", suspicious"
            } else {
                ""
            }
        );
        for stream in party.streams.iter().take(3) {
            let at = |time: Ns| seconds(time) - seconds(world.before);
            let active: Vec<_> = stream
                .active
                .iter()
                .map(|span| (at(span.0), at(span.1)))
                .collect();
            say!(
                text,
                "      {:?} {:?} sleeps {} in {active:.1?}",
                stream.arrivals,
                stream.jobs,
                stream.sleeps
            );
        }
    }
}

fn what_is_true(text: &mut String, tried: &Tried) {
    let (world, truth) = (&tried.world, &tried.judged.truth);
    let coincident = if world.coincident {
        ", coincident by construction"
    } else {
        ""
    };
    say!(text, "truth: {:?}{coincident}", truth.state);
    for episode in &truth.episodes {
        let names = |those: &[usize]| -> Vec<&str> {
            those
                .iter()
                .map(|party| world.parties[*party].who.name.as_str())
                .collect()
        };
        let of = |role: Role, episode: &Episode| -> Vec<usize> {
            let all = 0..world.parties.len();
            all.filter(|party| episode.role(*party) == role).collect()
        };
        say!(
            text,
            "  {:.1} to {:.1} s: {:?}; victims {:?} with {:.2} s; culprits {:?}, contributors {:?}",
            seconds(episode.from - world.before),
            seconds(episode.to - world.before),
            episode.kinds,
            names(&episode.victims),
            seconds(episode.excess_ns),
            names(&of(Role::Culprit, episode)),
            names(&of(Role::Contributor, episode))
        );
    }
}

fn what_is_said(text: &mut String, tried: &Tried) {
    let (said, judged) = (&tried.judged.said, &tried.judged);
    let name = |party: usize| tried.world.parties[party].who.name.as_str();
    let named: Vec<_> = said
        .named
        .iter()
        .map(|named| (name(named.party), named.share))
        .collect();
    say!(
        text,
        "verdict: {} {:?}, names {named:?}\n  {}",
        said.kind,
        said.level,
        said.sentence
    );
    let right = match (judged.truth.state, judged.mark.is_right) {
        (State::Grey, _) => "grey: either is right",
        (_, true) => "right",
        (_, false) => "wrong",
    };
    say!(text, "{right}");
}
