//! Worlds whose truth is known, and how often the judge is right in them.
//!
//! A world is disks, programs and what goes wrong with them ([`world`]). It is played event by event ([`play`]), what an
//! agent on the host would have seen of it is made into a capture ([`collect`]), and the judge sees nothing else. What is
//! true of it is found by playing it again without somebody or something ([`truth`]): all that a party draws by chance
//! comes from a stream of its own, so that the others ask for the same whether it is there or not. Nothing here calls
//! the judge's code to find out who delayed whom, nor the other way round.
//!
//! # Words
//!
//! - A **party** is what can be asked to stop: a program, a unit, a pod, a virtual machine.
//! - A **wait** is the time a read, a synchronous write, a flush, a commit of a journal or room for dirty pages took
//!   somebody. It counts from when it is noticed: 3 times what it takes alone on a healthy disk of its class, and at
//!   least 1.5 ms (flash), 5 ms (network), 25 ms (rotational). It is **plain** from 5 times and 5, 15, 60 ms on.
//! - **Excess** is what it waited beyond what it takes alone, of the waits that are noticed. Played again, it is that of as
//!   many requests as there were: who waits less asks for more.
//! - A party is **hurt** when its plain waits, as spans of time that may overlap, take 2 % of the window, or 1 s of some
//!   10 s. It is **calm** when all waits that can be noticed take less than 0.5 % of the window and less than 0.3 s of
//!   any 10 s. Between, it is **grey**. A world is as bad as its worst party; either answer about a grey one is right.
//! - **Victims** are the hurt parties, less those who do it to themselves: alone they lose as much time (half or more of
//!   it), and one request at a time they do not. When nobody else is hurt, these are the victims and it is `own_load`, as it also
//!   is when they lost four times as much time as the others.
//! - **Share** of a party: by which part of 1 the other victims' excess falls when the world is played without it. From
//!   0.5 on it is a *culprit*, below 0.1 *innocent*. Whoever keeps the disks busy for less than 1.5 % of the episode
//!   and half a second is innocent without a play. From 5 % on, or with discards in flight that long, it is a *suspect*.
//! - The **kind** is right when playing again without that cause takes half or more of the excess: the culprit, a limit,
//!   what is wrong with the disk. Several may be. `overload` is right when no party is a culprit and the victims are well
//!   when each is alone. A world in which nothing of this helps is grey.
//!
//! A verdict is right when its kind is, it names no innocent, and where its kind is about somebody it names a culprit.
//!
//! # To look at one world
//!
//! `cargo xtask worlds --family F --seed S --show` prints what is true of it and the verdict, and saves its capture,
//! which `stall-agent report` opens.
//!
//! # To add a family
//!
//! Write a function in `held_out.rs` that draws a world, from what [`parts`] has, and add it to the list there.

#![forbid(unsafe_code)]

mod chosen;
pub mod collect;
pub mod dice;
pub mod families;
mod family;
mod held_out;
pub mod log;
pub mod parts;
pub mod people;
pub mod play;
pub mod score;
pub mod shown;
pub mod table;
pub mod truth;
pub mod world;

#[cfg(test)]
mod tests;

use stall_analysis::analyze;
use stall_capture::Capture;
use stall_report::model::Report;

use crate::families::Family;
use crate::play::{Change, Played, play};
use crate::table::Judged;
use crate::truth::{Role, State};
use crate::world::World;

/// A world, all that came of it, and what the judge says.
pub struct Tried {
    pub world: World,
    pub played: Played,
    pub capture: Capture,
    pub report: Report,
    pub judged: Judged,
}

/// Plays one, has it judged, and marks the verdict.
#[must_use]
pub fn attempt(family: &Family, number: u64) -> Tried {
    let world = family.world(number);
    let played = play(&world, &Change::default(), Some(collect::INTERVAL));
    let capture = collect::capture(&world, &played.log);
    let report = analyze(&capture);
    let truth = truth::truth(&world, &played);
    let said = score::said(&report, &capture, &world, &played.log);
    let mark = score::mark(&truth, &said);
    let is_innocent = |party: usize| {
        let mut roles = truth.episodes.iter().map(|episode| episode.role(party));
        roles.all(|role| role == Role::Innocent)
    };
    let suspects = (0..world.parties.len()).filter(|party| truth.suspicious[*party]);
    let has_suspect = truth.state != State::Grey && suspects.clone().any(is_innocent);
    let judged = Judged {
        family: family.name,
        number,
        coincident: world.coincident,
        truth,
        said,
        mark,
        has_suspect,
    };
    Tried {
        world,
        played,
        capture,
        report,
        judged,
    }
}
