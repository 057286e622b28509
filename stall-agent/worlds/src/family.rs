//! A family of worlds: its name, and how one of them is drawn.

use crate::dice::Dice;
use crate::world::World;

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
