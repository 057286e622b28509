//! Kernel addresses to symbols, by `/proc/kallsyms`.
//!
//! The table has up to some 300,000 lines in an order that does not help (modules after the kernel,
//! each by itself). It is read once, line by line, for all addresses wanted; kept is only the best
//! candidate of each.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read as _};

use stall_capture::Frame;
use stall_host::HostRoot;

/// Longest line taken: `KSYM_NAME_LEN` is 512, the address and the module's name come on top.
const MAX_LINE: u64 = 1024;
/// No function is as long: an address further behind a symbol is not in it.
const MAX_OFFSET: u64 = 1 << 20;

/// The symbol of each address wanted.
#[derive(Debug, Default)]
pub struct Symbols {
    frames: HashMap<u64, Frame>,
    /// False when the table hides its addresses or cannot be read.
    pub readable: bool,
}

impl Symbols {
    /// Looks all of `addresses` up in the running kernel's table. They are return addresses: one
    /// that is a symbol's very start belongs to a call at the end of the function before it.
    #[must_use]
    pub fn of_kernel(root: &HostRoot, addresses: &[u64]) -> Self {
        let table = root.open("proc/kallsyms");
        let symbols =
            table.and_then(|file| Self::read(BufReader::with_capacity(1 << 16, file), addresses));
        symbols.unwrap_or_default()
    }

    /// Looks `addresses` up in a table.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn read(table: impl BufRead, addresses: &[u64]) -> io::Result<Self> {
        let mut search = Search::new(addresses);
        let mut seen_address = false;
        for_each_line(table, |line| {
            if let Some(symbol) = parse(line) {
                seen_address |= symbol.address != 0;
                search.offer(&symbol);
            }
        })?;
        Ok(Self {
            frames: search.frames(),
            readable: seen_address,
        })
    }

    /// Looks up those of `addresses` that it has not been asked for before.
    pub fn learn(&mut self, root: &HostRoot, addresses: impl Iterator<Item = u64>) {
        let mut new: Vec<u64> = addresses
            .filter(|address| !self.frames.contains_key(address))
            .collect();
        new.sort_unstable();
        new.dedup();
        if new.is_empty() {
            return;
        }
        let found = Self::of_kernel(root, &new);
        self.readable = found.readable;
        // Also what has no symbol, so that nobody looks for it again.
        let frames = new
            .into_iter()
            .map(|address| (address, found.frame(address)));
        self.frames.extend(frames);
    }

    /// The frame of an address that was wanted; one without a symbol otherwise.
    #[must_use]
    pub fn frame(&self, address: u64) -> Frame {
        self.frames.get(&address).cloned().unwrap_or_default()
    }
}

/// Whether the table shows addresses to this process: it has zeros under `kptr_restrict`.
#[must_use]
pub fn readable(root: &HostRoot) -> Option<bool> {
    let head = root.text("proc/kallsyms", 16 << 10)?;
    let mut symbols = head.lines().filter_map(|line| parse(line.as_bytes()));
    Some(symbols.any(|symbol| symbol.address != 0))
}

/// A line of the table that names code.
struct Symbol<'a> {
    address: u64,
    name: &'a [u8],
    module: &'a [u8],
}

/// `ffffffffc0a1b2c0 t ext4_trim_extent\t[ext4]`
fn parse(line: &[u8]) -> Option<Symbol<'_>> {
    let mut words = line
        .split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|word| !word.is_empty());
    let address = hexadecimal(words.next()?)?;
    let code = matches!(words.next()?, b"t" | b"T" | b"w" | b"W");
    let name = words.next()?;
    let module = words.next().unwrap_or_default();
    code.then_some(Symbol {
        address,
        name,
        module,
    })
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0u64, |number, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(number.checked_mul(16)? + u64::from(digit))
    })
}

/// The wanted addresses in ascending order. Each symbol is weighed for the first one above it only;
/// what is best for one is then passed on to those above that have nothing closer.
struct Search {
    candidates: Vec<Candidate>,
}

#[derive(Clone, Default)]
struct Candidate {
    wanted: u64,
    /// Of the closest symbol so far; 0 is none.
    start: u64,
    name: Vec<u8>,
    module: Vec<u8>,
}

impl Search {
    fn new(addresses: &[u64]) -> Self {
        let mut addresses: Vec<_> = addresses.iter().copied().filter(|it| *it != 0).collect();
        addresses.sort_unstable();
        addresses.dedup();
        let candidate = |wanted| Candidate {
            wanted,
            ..Candidate::default()
        };
        Self {
            candidates: addresses.into_iter().map(candidate).collect(),
        }
    }

    /// Of aliases, the first in the table stays, as it does in the kernel's own traces.
    fn offer(&mut self, symbol: &Symbol<'_>) {
        let above = self
            .candidates
            .partition_point(|candidate| candidate.wanted <= symbol.address);
        if let Some(candidate) = self.candidates.get_mut(above)
            && candidate.start < symbol.address
        {
            candidate.take(symbol.address, symbol.name, symbol.module);
        }
    }

    fn frames(mut self) -> HashMap<u64, Frame> {
        for index in 1..self.candidates.len() {
            let (below, above) = self.candidates.split_at_mut(index);
            let (below, above) = (&below[index - 1], &mut above[0]);
            if above.start < below.start {
                above.take(below.start, &below.name, &below.module);
            }
        }
        let frames = self.candidates.iter();
        frames
            .filter_map(|candidate| Some((candidate.wanted, candidate.frame()?)))
            .collect()
    }
}

impl Candidate {
    /// Overwrites in place: most symbols of the table pass through here.
    fn take(&mut self, start: u64, name: &[u8], module: &[u8]) {
        self.start = start;
        self.name.clear();
        self.name.extend_from_slice(name);
        self.module.clear();
        self.module.extend_from_slice(module);
    }

    fn frame(&self) -> Option<Frame> {
        let offset = self.wanted - self.start;
        if self.start == 0 || offset > MAX_OFFSET {
            return None;
        }
        let module = String::from_utf8_lossy(&self.module);
        let module = module.trim_matches(['[', ']']);
        Some(Frame {
            symbol: Some(String::from_utf8_lossy(&self.name).into_owned()),
            offset,
            module: (!module.is_empty()).then(|| module.to_owned()),
        })
    }
}

/// Calls `use_line` with each line, its end left out. A line longer than any of the kernel's is
/// passed in pieces, which are no symbols.
fn for_each_line(mut table: impl BufRead, mut use_line: impl FnMut(&[u8])) -> io::Result<()> {
    let mut line = Vec::with_capacity(256);
    loop {
        line.clear();
        let read = table.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        use_line(line.strip_suffix(b"\n").unwrap_or(&line));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TABLE: &str = "\
ffffffff81000000 T _stext
ffffffff81000000 T startup_64
ffffffff81001000 t blk_mq_submit_bio
ffffffff81001400 d not_code
ffffffff81002000 W io_schedule
ffffffff81003000 A fixed_percpu_data
ffffffff82000000 T _etext
ffffffffc0a00000 t ext4_trim_extent\t[ext4]
ffffffffc0a00800 t ext4_trim_fs\t[ext4]
ffffffffc0100000 t xfs_trim\t[xfs]
";

    fn look_up(table: &str, address: u64) -> Frame {
        let symbols = Symbols::read(table.as_bytes(), &[1, address, u64::MAX]).unwrap();
        symbols.frame(address)
    }

    fn name(address: u64) -> Option<String> {
        look_up(TABLE, address).symbol
    }

    #[test]
    fn finds_the_function_around_an_address() {
        let frame = look_up(TABLE, 0xffff_ffff_8100_1410);
        assert_eq!(frame.symbol.as_deref(), Some("blk_mq_submit_bio"));
        assert_eq!(frame.offset, 0x410);
        assert_eq!(frame.module, None);
        assert_eq!(name(0xffff_ffff_8100_2001).as_deref(), Some("io_schedule"));
    }

    #[test]
    fn names_the_module() {
        let frame = look_up(TABLE, 0xffff_ffff_c0a0_0810);
        assert_eq!(frame.symbol.as_deref(), Some("ext4_trim_fs"));
        assert_eq!(frame.module.as_deref(), Some("ext4"));
        assert_eq!(
            look_up(TABLE, 0xffff_ffff_c010_0004).module.as_deref(),
            Some("xfs")
        );
    }

    #[test]
    fn a_return_address_behind_a_functions_end_is_still_that_functions() {
        let frame = look_up(TABLE, 0xffff_ffff_8100_2000);
        assert_eq!(frame.symbol.as_deref(), Some("blk_mq_submit_bio"));
        assert_eq!(frame.offset, 0x1000);
    }

    #[test]
    fn keeps_the_first_of_aliases() {
        assert_eq!(name(0xffff_ffff_8100_0004).as_deref(), Some("_stext"));
    }

    #[test]
    fn passes_a_symbol_on_to_all_addresses_above_it() {
        let wanted = [
            0xffff_ffff_8100_1001,
            0xffff_ffff_8100_1002,
            0xffff_ffff_8100_1fff,
        ];
        let symbols = Symbols::read(TABLE.as_bytes(), &wanted).unwrap();
        for address in wanted {
            let symbol = symbols.frame(address).symbol;
            assert_eq!(symbol.as_deref(), Some("blk_mq_submit_bio"));
        }
    }

    #[test]
    fn far_from_any_symbol_is_none() {
        assert_eq!(name(0x1000), None);
        assert_eq!(name(0), None);
        assert_eq!(name(u64::MAX), None);
        assert_eq!(Symbols::default().frame(7), Frame::default());
    }

    #[test]
    fn hidden_addresses_give_nothing() {
        let hidden = "0000000000000000 T _stext\n0000000000000000 t a\t[ext4]\n";
        let symbols = Symbols::read(hidden.as_bytes(), &[0x1000]).unwrap();
        assert!(!symbols.readable);
        assert_eq!(symbols.frame(0x1000), Frame::default());
    }

    #[test]
    fn lines_that_make_no_sense_are_passed_over() {
        let long = "x".repeat(5000);
        let table = format!("\n \nzz T a\n1fffffffffffffffff T b\n{long}\n10 T\n10 T good");
        assert_eq!(look_up(&table, 0x18).symbol.as_deref(), Some("good"));
    }

    #[test]
    fn agrees_with_a_search_of_the_whole_table_in_any_order() {
        let mut rows: Vec<u64> = (1..2000).map(|n| n * n * 16).collect();
        let wanted: Vec<u64> = (1..500).map(|n| n * 12_345 + 7).collect();
        rows.sort_by_key(|row| row.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let table: String = rows
            .iter()
            .map(|row| format!("{row:x} t f{row}\n"))
            .collect();
        let symbols = Symbols::read(table.as_bytes(), &wanted).unwrap();
        for address in wanted {
            let best = rows.iter().filter(|row| **row < address).max();
            let best = best.map(|row| format!("f{row}"));
            assert_eq!(symbols.frame(address).symbol, best);
        }
    }

    proptest! {
        #[test]
        fn any_table_is_read(table in "([0-9a-f]{1,16} [tTwWdA] [a-z_]{1,8}(\t\\[ext4\\])?\n){0,20}.{0,80}", wanted: u64) {
            let symbols = Symbols::read(table.as_bytes(), &[wanted]).unwrap();
            prop_assert!(symbols.frame(wanted).offset <= MAX_OFFSET);
        }
    }
}
