//! The judge on captures made by hand.
