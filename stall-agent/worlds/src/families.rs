//! Families of worlds: one function each, which draws a world of its kind.

use crate::dice::Dice;
use crate::world::World;
use crate::{chosen, held_out};

/// A kind of world.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// After what happens in it.
    pub name: &'static str,
    /// Draws one.
    pub make: fn(&mut Dice) -> World,
}

impl Family {
    /// A world of it; the same number gives the same world.
    #[must_use]
    pub fn world(&self, number: u64) -> World {
        let name = self.name.bytes().map(u64::from).collect::<Vec<_>>();
        let mut dice = Dice::of(number, &name);
        let mut world = (self.make)(&mut dice);
        world.seed = dice.below(u64::MAX);
        world
    }
}

/// Families that rules may be chosen on.
#[must_use]
pub fn chosen() -> Vec<Family> {
    chosen::FAMILIES.to_vec()
}

/// Those and the ones nobody who makes rules has looked at.
#[must_use]
pub fn all() -> Vec<Family> {
    let both = chosen::FAMILIES.iter().chain(held_out::FAMILIES);
    both.copied().collect()
}
