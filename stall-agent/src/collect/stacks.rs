//! Kernel stacks: an index for each that is referred to, and at the end their symbols.

use std::collections::HashMap;

use stall_common::stack::DEPTH;

use super::maps::Maps;
use crate::kernel::symbols::Symbols;
use stall_capture::{Frame, Stack};
use stall_host::HostRoot;

/// Stacks referred to so far. Their ids are those of the `STACKS` map, or of frames given here.
#[derive(Clone, Default)]
pub struct Stacks {
    indices: HashMap<u64, usize>,
    /// By index; `None` while it is still in the map only.
    frames: Vec<(u64, Option<Vec<u64>>)>,
}

impl Stacks {
    /// The index of a stack in the map; `None` for id 0, which says it was not taken.
    pub fn index(&mut self, id: u64) -> Option<usize> {
        (id != 0).then(|| self.enter(id, None))
    }

    /// The index of a stack whose frames are at hand.
    pub fn index_of(&mut self, frames: &[u64]) -> Option<usize> {
        let mut whole = [0; DEPTH];
        let depth = frames.len().min(DEPTH);
        whole[..depth].copy_from_slice(&frames[..depth]);
        let known = frames.iter().any(|address| *address != 0);
        known.then(|| self.enter(stall_common::stack::id(&whole), Some(frames.to_vec())))
    }

    /// All stacks by index, with symbols. The second is false when the kernel hides its addresses.
    #[must_use]
    pub fn resolve(self, maps: &Maps, root: &HostRoot) -> (Vec<Stack>, bool) {
        let stacks: Vec<Vec<u64>> = self
            .frames
            .into_iter()
            .map(|(id, frames)| frames.unwrap_or_else(|| from_map(maps, id)))
            .collect();
        let mut addresses: Vec<u64> = stacks.iter().flatten().copied().collect();
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.is_empty() {
            return (stacks.into_iter().map(|_| Stack::default()).collect(), true);
        }
        let symbols = Symbols::of_kernel(root, &addresses);
        (named(&stacks, &symbols), symbols.readable)
    }

    /// Addresses of all stacks by index, as they are now. What was read of the map before is in `read`: it does not change.
    #[must_use]
    pub fn addresses(&self, maps: &Maps, read: &mut HashMap<u64, Vec<u64>>) -> Vec<Vec<u64>> {
        let stacks = self.frames.iter().map(|(id, frames)| match frames {
            Some(frames) => frames.clone(),
            None => read
                .entry(*id)
                .or_insert_with(|| from_map(maps, *id))
                .clone(),
        });
        stacks.collect()
    }

    fn enter(&mut self, id: u64, frames: Option<Vec<u64>>) -> usize {
        *self.indices.entry(id).or_insert_with(|| {
            self.frames.push((id, frames));
            self.frames.len() - 1
        })
    }
}

fn from_map(maps: &Maps, id: u64) -> Vec<u64> {
    let Ok(stack) = maps.stacks.get(&id, 0) else {
        return Vec::new();
    };
    stack
        .frames
        .into_iter()
        .take_while(|address| *address != 0)
        .collect()
}

/// Stacks given as addresses, with symbols.
#[must_use]
pub fn named(stacks: &[Vec<u64>], symbols: &Symbols) -> Vec<Stack> {
    stacks.iter().map(|stack| name(stack, symbols)).collect()
}

fn name(stack: &[u64], symbols: &Symbols) -> Stack {
    let frames: Vec<Frame> = stack
        .iter()
        .map(|address| symbols.frame(*address))
        .collect();
    let own = own_frames(&frames);
    Stack {
        frames: frames.into_iter().skip(own).collect(),
    }
}

/// A running task's stack begins with the program that takes it and the tracepoint it hangs on.
fn own_frames(frames: &[Frame]) -> usize {
    const LOOK_AT: usize = 10;
    let is_own = |frame: &Frame| {
        frame.symbol.as_deref().is_some_and(|symbol| {
            ["bpf_", "__bpf_", "__traceiter_"]
                .iter()
                .any(|prefix| symbol.starts_with(prefix))
        })
    };
    frames
        .iter()
        .take(LOOK_AT)
        .rposition(is_own)
        .map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(symbols: &[&str]) -> Vec<Frame> {
        symbols
            .iter()
            .map(|symbol| Frame {
                symbol: Some((*symbol).to_owned()),
                ..Frame::default()
            })
            .collect()
    }

    #[test]
    fn frames_of_the_program_itself_are_left_out() {
        let own = frames(&[
            "bpf_get_stack_raw_tp",
            "bpf_trace_run1",
            "__traceiter_block_io_start",
            "blk_mq_submit_bio",
        ]);
        assert_eq!(own_frames(&own), 3);
        assert_eq!(own_frames(&frames(&["__schedule", "schedule"])), 0);
    }

    #[test]
    fn a_stack_gets_one_index() {
        let mut stacks = Stacks::default();
        assert_eq!(stacks.index(0), None);
        assert_eq!(stacks.index(7), Some(0));
        assert_eq!(stacks.index_of(&[1, 2]), Some(1));
        assert_eq!(stacks.index(7), Some(0));
        assert_eq!(stacks.index_of(&[]), None);
    }
}
