//! Which families of worlds there are.

pub use crate::family::Family;
use crate::{chosen, held_out};

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
