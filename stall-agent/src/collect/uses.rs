//! Who used a disk for what: the rows in the kernel, and those that have been taken out of it.
//!
//! Contract: what the programs counted is in exactly one place, a row in the kernel or a sum here. When an actor has ended and a row
//! of its has stood still from one look to the next, the row is taken over and its number given back: so processes that come
//! and go take no room that grows. A request of its that ends later all the same finds that the row is not its own, and begins
//! another.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use anyhow::Result;
use stall_common::copies;
use stall_common::exposure::Sides;
use stall_common::uses::{COPIED, NUMBERS, Use, UseKey};

use super::maps::Maps;

/// Actors that have been folded into another, of which a row may still come.
const REMEMBERED: usize = 4_096;

/// All rows.
pub struct Rows {
    copies: u32,
    /// Rows there are; their numbers come first.
    rows: u32,
    /// Numbers the programs have taken, and those there were to take, in all.
    taken: u64,
    given: u64,
    /// Those given back, by their place in the ring.
    ring: BTreeMap<u32, u32>,
    /// Taken, and not given back.
    in_use: Vec<u32>,
    /// Of these, those that were nobody's at the last look.
    nobodys: HashSet<u32>,
    live: HashMap<UseKey, Live>,
    past: HashMap<UseKey, Past>,
    /// Who is told of by another's id, the newest.
    folded: BTreeMap<u32, u32>,
}

/// A row in the kernel.
struct Live {
    number: u32,
    sums: Use,
}

/// One that was taken out of it.
struct Past {
    sums: Use,
    sides: Box<Sides>,
}

/// What a row grew by.
pub struct Grown {
    pub key: UseKey,
    pub before: Use,
    pub now: Use,
}

impl Rows {
    /// None yet, of so many that there can be.
    #[must_use]
    pub fn new(rows: u32, copies: u32) -> Self {
        Self {
            copies,
            rows,
            taken: 0,
            given: rows.into(),
            ring: BTreeMap::new(),
            in_use: Vec::new(),
            nobodys: HashSet::new(),
            live: HashMap::new(),
            past: HashMap::new(),
            folded: BTreeMap::new(),
        }
    }

    /// Reads all rows; those of actors that have ended are taken over once they stand still. Returns those that grew.
    ///
    /// # Errors
    ///
    /// When the kernel refuses to read a map.
    pub fn look(&mut self, maps: &mut Maps, has_ended: impl Fn(u32) -> bool) -> Result<Vec<Grown>> {
        self.take_in_numbers(maps)?;
        let mut grown = Vec::new();
        let mut nobodys = HashSet::new();
        let mut given_back = Vec::new();
        for number in std::mem::take(&mut self.in_use) {
            let now = self.sums(maps, number);
            let Some(key) = now.key() else {
                if self.nobodys.contains(&number) {
                    given_back.push(number);
                } else {
                    nobodys.insert(number);
                    self.in_use.push(number);
                }
                continue;
            };
            let before = self.live.insert(key, Live { number, sums: now });
            let before = before.map(|live| live.sums);
            let stands = before.is_some_and(|before| before.ops == now.ops);
            let before = before.unwrap_or_default();
            if now.ops > before.ops {
                grown.push(Grown {
                    key: self.told_as(key),
                    before,
                    now,
                });
            }
            let has_ended = has_ended(key.actor) || self.folded.contains_key(&key.actor);
            if stands && has_ended {
                self.take_over(maps, key, number)?;
                given_back.push(number);
            } else {
                self.in_use.push(number);
            }
        }
        self.nobodys = nobodys;
        self.give_back(maps, &given_back)?;
        Ok(grown)
    }

    fn take_in_numbers(&mut self, maps: &Maps) -> Result<()> {
        let taken = maps.uses_taken.get(&0, 0)?;
        for at in self.taken..taken.min(self.given) {
            let number = if at < self.rows.into() {
                Some(at as u32)
            } else {
                self.ring.remove(&place_in_ring(at))
            };
            self.in_use.extend(number);
        }
        self.taken = taken;
        // Several CPUs took beyond the last at once: there is nothing at these places.
        self.given = self.given.max(taken);
        Ok(())
    }

    /// A row of one that has ended: out of the kernel, into the sums here.
    fn take_over(&mut self, maps: &mut Maps, key: UseKey, number: u32) -> Result<()> {
        let sides = self.sides(maps, number);
        // Nobody finds the number any more, and then nobody who kept it finds the row.
        let _absent = maps.uses.remove(&key);
        for place in copies::all(number, COPIED, self.copies) {
            if place < maps.use_rows.len() {
                maps.use_rows.set(place, Use::default(), 0)?;
                maps.sides.set(place, Sides::EMPTY, 0)?;
            }
        }
        if let Some(live) = self.live.remove(&key) {
            self.add_past(self.told_as(key), &live.sums, &sides);
        }
        Ok(())
    }

    fn give_back(&mut self, maps: &mut Maps, numbers: &[u32]) -> Result<()> {
        for number in numbers {
            let place = place_in_ring(self.given);
            maps.use_numbers.set(place, number, 0)?;
            self.ring.insert(place, *number);
            self.given += 1;
        }
        if !numbers.is_empty() {
            maps.uses_given.set(0, self.given, 0)?;
        }
        Ok(())
    }

    fn add_past(&mut self, key: UseKey, sums: &Use, sides: &Sides) {
        let past = self.past.entry(key).or_insert_with(|| Past {
            sums: Use::default(),
            sides: Box::new(Sides::EMPTY),
        });
        add(&mut past.sums, sums);
        add_sides(&mut past.sides, sides);
    }

    fn told_as(&self, key: UseKey) -> UseKey {
        let actor = self.folded.get(&key.actor).copied();
        UseKey {
            actor: actor.unwrap_or(key.actor),
            ..key
        }
    }

    /// Tells of actors by another's id from now on.
    pub fn fold(&mut self, to: &BTreeMap<u32, u32>) {
        for known in self.folded.values_mut() {
            if let Some(now) = to.get(known) {
                *known = *now;
            }
        }
        self.folded.extend(to);
        while self.folded.len() > REMEMBERED {
            self.folded.pop_first();
        }
        let folded: Vec<_> = self.past.keys().copied().collect();
        for key in folded.into_iter().filter(|key| to.contains_key(&key.actor)) {
            if let Some(past) = self.past.remove(&key) {
                let actor = to[&key.actor];
                self.add_past(UseKey { actor, ..key }, &past.sums, &past.sides);
            }
        }
    }

    /// The id an actor is told of by.
    #[must_use]
    pub fn actor(&self, id: u32) -> u32 {
        self.folded.get(&id).copied().unwrap_or(id)
    }

    /// Actors that have rows in the kernel.
    #[must_use]
    pub fn live_actors(&self) -> BTreeSet<u32> {
        self.live.keys().map(|key| key.actor).collect()
    }

    /// Actors that had rows in the kernel, and the time their requests took. Who discards is suspected for himself, however fast his
    /// discards are.
    #[must_use]
    pub fn past_actors(&self) -> BTreeMap<u32, u64> {
        let mut actors = BTreeMap::<_, u64>::new();
        for (key, past) in &self.past {
            let discards = stall_capture::is_discard(super::in_flight::op(key.op as u8));
            let time_ns = if discards {
                u64::MAX
            } else {
                past.sums.total_ns()
            };
            let sum = actors.entry(key.actor).or_default();
            *sum = sum.saturating_add(time_ns);
        }
        actors
    }

    /// Sums by key, those in the kernel as of the last look.
    #[must_use]
    pub fn all(&self) -> BTreeMap<UseKey, Use> {
        let mut all = BTreeMap::<_, Use>::new();
        let live = self
            .live
            .iter()
            .map(|(key, live)| (self.told_as(*key), &live.sums));
        let past = self.past.iter().map(|(key, past)| (*key, &past.sums));
        for (key, sums) in live.chain(past) {
            add(all.entry(key).or_default(), sums);
        }
        all
    }

    /// Latencies by key.
    #[must_use]
    pub fn all_sides(&self, maps: &Maps) -> BTreeMap<UseKey, Box<Sides>> {
        let mut all = BTreeMap::new();
        for (key, live) in &self.live {
            let of = all.entry(self.told_as(*key));
            let of = of.or_insert_with(|| Box::new(Sides::EMPTY));
            add_sides(of, &self.sides(maps, live.number));
        }
        for (key, past) in &self.past {
            let of = all.entry(*key);
            add_sides(of.or_insert_with(|| Box::new(Sides::EMPTY)), &past.sides);
        }
        all
    }

    /// The sums of a row. A copy that the map has no place for was refused by the programs, and counted.
    fn sums(&self, maps: &Maps, number: u32) -> Use {
        let mut sums = Use::default();
        for place in copies::all(number, COPIED, self.copies) {
            if let Ok(copy) = maps.use_rows.get(&place, 0) {
                sums.owner = copy.owner;
                add(&mut sums, &copy);
            }
        }
        sums
    }

    /// The latencies of a row; they wrap.
    fn sides(&self, maps: &Maps, number: u32) -> Sides {
        let mut sides = Sides::EMPTY;
        for place in copies::all(number, COPIED, self.copies) {
            if let Ok(copy) = maps.sides.get(&place, 0) {
                add_sides(&mut sides, &copy);
            }
        }
        sides
    }
}

fn place_in_ring(at: u64) -> u32 {
    at as u32 & (NUMBERS - 1)
}

fn add_sides(sides: &mut Sides, more: &Sides) {
    let counts = sides.counts.as_flattened_mut().iter_mut();
    for (count, more) in counts.zip(more.counts.as_flattened()) {
        *count = count.wrapping_add(*more);
    }
}

fn add(sums: &mut Use, copy: &Use) {
    sums.ops += copy.ops;
    sums.bytes += copy.bytes;
    sums.queue_ns += copy.queue_ns;
    sums.device_ns += copy.device_ns;
    sums.unissued_ns += copy.unissued_ns;
    sums.slowest_ns = sums.slowest_ns.max(copy.slowest_ns);
    sums.slow_ops += copy.slow_ops;
    sums.slow_total_ns += copy.slow_total_ns;
    sums.service_ns += copy.service_ns;
    sums.exposed_ops += copy.exposed_ops;
    sums.exposed_slow_ops += copy.exposed_slow_ops;
    sums.exposed_total_ns += copy.exposed_total_ns;
    sums.overlap_ns += copy.overlap_ns;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A copy in which every sum has a value of its own.
    fn copy(base: u64) -> Use {
        Use {
            owner: 0,
            ops: base + 1,
            bytes: base + 2,
            queue_ns: base + 3,
            device_ns: base + 4,
            unissued_ns: base + 5,
            slowest_ns: base + 6,
            slow_ops: base + 7,
            slow_total_ns: base + 8,
            service_ns: base + 9,
            exposed_ops: base + 10,
            exposed_slow_ops: base + 11,
            exposed_total_ns: base + 12,
            overlap_ns: base + 13,
            padding: [0; 2],
        }
    }

    #[test]
    fn copies_add_up_and_the_slowest_is_the_slowest_of_all() {
        let mut sums = Use::default();
        add(&mut sums, &copy(0));
        assert_eq!(sums, copy(0));
        add(&mut sums, &copy(100));
        let twice = |n: u64| 100 + 2 * n;
        assert_eq!(
            (sums.ops, sums.bytes, sums.queue_ns),
            (twice(1), twice(2), twice(3))
        );
        assert_eq!((sums.device_ns, sums.unissued_ns), (twice(4), twice(5)));
        assert_eq!(sums.slowest_ns, 106);
        assert_eq!((sums.slow_ops, sums.slow_total_ns), (twice(7), twice(8)));
        assert_eq!((sums.service_ns, sums.exposed_ops), (twice(9), twice(10)));
        assert_eq!(sums.exposed_slow_ops, twice(11));
        assert_eq!(
            (sums.exposed_total_ns, sums.overlap_ns),
            (twice(12), twice(13))
        );
    }

    #[test]
    fn who_is_folded_twice_is_told_of_by_the_last_id() {
        let mut rows = Rows::new(8, 1);
        let key = |actor| UseKey {
            actor,
            disk: 0,
            op: 0,
        };
        for actor in 2..5 {
            rows.add_past(key(actor), &copy(0), &Sides::EMPTY);
        }
        rows.fold(&[(2, 3)].into());
        rows.fold(&[(3, 4)].into());
        assert_eq!((rows.actor(2), rows.actor(3), rows.actor(4)), (4, 4, 4));
        let all = rows.all();
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), [key(4)]);
        assert_eq!(all[&key(4)].ops, 3);
        assert_eq!(rows.past_actors().len(), 1);
    }
}
