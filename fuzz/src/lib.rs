//! Mutations of JSON documents that stay JSON: libFuzzer's own rarely do, and what is none is refused at its first byte.
//!
//! The same seed gives the same mutation.

use libfuzzer_sys::fuzzer_mutate;
use serde_json::{Number, Value, json};

/// Numbers at which sums run over, and others near them.
const NUMBERS: [u64; 12] = [
    0,
    1,
    2,
    63,
    64,
    1_000,
    1_000_000,
    u16::MAX as u64,
    u32::MAX as u64,
    i64::MAX as u64,
    u64::MAX - 1,
    u64::MAX,
];
/// Text that steers terminals and pages, or names what the rules look for.
const TEXTS: [&str; 12] = [
    "",
    "\u{1b}[2J\n",
    "\u{202e}\u{9b}31m\t",
    "<script>&\"'",
    "\u{7389}x",
    "fstrim",
    "qemu-system-x86_64",
    "longhorn",
    "discard",
    "loop0",
    "8:0",
    "a word that is much longer than any column of a table that is made for eighty of them is wide",
];

/// Changes the `size` bytes in `data` and gives how many there are then, as libFuzzer's `LLVMFuzzerCustomMutator` does.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut dice = Dice(u64::from(seed) << 1 | 1);
    let read = serde_json::from_slice::<Value>(&data[..size]);
    let Ok(mut document) = read.map_err(drop) else {
        return fuzzer_mutate(data, size, max_size);
    };
    if dice.roll(32) == 0 {
        return fuzzer_mutate(data, size, max_size);
    }
    for _ in 0..=dice.roll(4) {
        change_one(&mut document, &mut dice);
    }
    let text = first_first(document);
    if text.len() > max_size {
        return fuzzer_mutate(data, size, max_size);
    }
    data[..text.len()].copy_from_slice(text.as_bytes());
    text.len()
}

/// A map is sorted by its keys; a capture is told by its first field, `format`.
fn first_first(document: Value) -> String {
    let Value::Object(mut fields) = document else {
        return document.to_string();
    };
    let Some(format) = fields.remove("format") else {
        return Value::Object(fields).to_string();
    };
    let rest = Value::Object(fields).to_string();
    let rest = rest.trim_start_matches('{');
    let comma = if rest == "}" { "" } else { "," };
    format!("{{\"format\":{format}{comma}{rest}")
}

/// A sequence of numbers (xorshift64).
struct Dice(u64);

impl Dice {
    /// One below `sides`.
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % sides.max(1)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len())]
    }
}

fn change_one(document: &mut Value, dice: &mut Dice) {
    let from = dice.roll(count(document));
    let other = nth(document, &mut { from }).map(|value| value.clone());
    let to = dice.roll(count(document));
    let Some(value) = nth(document, &mut { to }) else {
        return;
    };
    match dice.roll(12) {
        0 => *value = Value::Null,
        1 => *value = other.filter(|it| count(it) < 64).unwrap_or_default(),
        2 => *value = Value::from(dice.one_of(&NUMBERS)),
        _ => in_kind(value, dice),
    }
}

/// Something else of the same kind.
fn in_kind(value: &mut Value, dice: &mut Dice) {
    match value {
        Value::Null => *value = Value::from(dice.one_of(&NUMBERS)),
        Value::Bool(flag) => *flag = !*flag,
        Value::Number(number) => *value = other_number(number, dice),
        Value::String(text) => *text = other_text(text, dice),
        Value::Array(rows) => other_rows(rows, dice),
        Value::Object(fields) => {
            let at = dice.roll(fields.len());
            let name = fields.keys().nth(at).cloned();
            name.and_then(|name| fields.remove(&name));
        }
    }
}

fn other_number(number: &Number, dice: &mut Dice) -> Value {
    let Some(whole) = number.as_u64() else {
        return json!(number.as_f64().unwrap_or(0.0) * -2.0);
    };
    match dice.roll(8) {
        0 => Value::from(whole.wrapping_add(1)),
        1 => Value::from(whole.wrapping_sub(1)),
        2 => Value::from(whole / 2),
        3 => Value::from(whole.saturating_mul(1 + dice.roll(1_000) as u64)),
        4 => Value::from(dice.roll(8)),
        5 => Value::from(-(dice.roll(1_000_000) as i64)),
        6 => json!(whole as f64 + 0.5),
        _ => Value::from(dice.one_of(&NUMBERS)),
    }
}

fn other_text(text: &str, dice: &mut Dice) -> String {
    let other = dice.one_of(&TEXTS);
    match dice.roll(4) {
        0 => format!("{text}{other}"),
        1 => text.chars().take(text.len() / 2).collect(),
        2 => text.repeat(1 + dice.roll(16)),
        _ => other.to_owned(),
    }
}

fn other_rows(rows: &mut Vec<Value>, dice: &mut Dice) {
    if rows.is_empty() {
        return rows.push(Value::from(dice.roll(8)));
    }
    let (at, to) = (dice.roll(rows.len()), dice.roll(rows.len()));
    match dice.roll(5) {
        0 => drop(rows.remove(at)),
        1 => rows.swap(at, to),
        2 => rows.truncate(at),
        _ => {
            let copies = std::iter::repeat_n(rows[at].clone(), 1 + dice.roll(3));
            rows.splice(to..to, copies);
        }
    }
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(rows) => rows.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum::<usize>(),
        _ => 0,
    }
}

/// The value before which `left` others are met, from the outside in.
fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(rows) => rows.iter_mut().find_map(|value| nth(value, left)),
        Value::Object(fields) => fields.values_mut().find_map(|value| nth(value, left)),
        _ => None,
    }
}
