//! Numbers and foreign strings as words for people.

use unicode_width::UnicodeWidthChar as _;

/// A duration with three digits at most: `350 ns`, `1.25 ms`, `26 min`.
#[must_use]
pub fn duration(ns: u64) -> String {
    const UNITS: [(f64, &str); 4] = [(1.0, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s")];
    let value = ns as f64;
    if value >= 5_400e9 {
        return format!("{} h", digits(value / 3_600e9));
    }
    if value >= 180e9 {
        return format!("{} min", digits(value / 60e9));
    }
    let (scale, unit) = UNITS
        .into_iter()
        .rfind(|(scale, _)| value >= *scale * 0.9995)
        .unwrap_or(UNITS[0]);
    format!("{} {unit}", digits(value / scale))
}

/// A size with three digits at most, in powers of 1024.
#[must_use]
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1_023.5 && unit + 1 < UNITS.len() {
        value /= 1_024.0;
        unit += 1;
    }
    format!("{} {}", digits(value), UNITS[unit])
}

/// A part of one as per cent.
#[must_use]
pub fn share(part: f64) -> String {
    let percent = part * 100.0;
    if percent > 0.0 && percent < 0.1 {
        return "less than 0.1 %".to_owned();
    }
    if percent >= 9.95 {
        return format!("{percent:.0} %");
    }
    format!("{} %", digits(percent))
}

/// A factor: `1.3`, `41`, `1,800`.
#[must_use]
pub fn factor(value: f64) -> String {
    if value >= 1_000.0 {
        return thousands(value.round() as u64);
    }
    digits(value)
}

/// A whole number with separators.
#[must_use]
pub fn thousands(value: u64) -> String {
    let plain = value.to_string();
    let mut text = String::new();
    for (index, digit) in plain.chars().enumerate() {
        if index > 0 && (plain.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A foreign string for a terminal: control characters and those that change the direction or place of text
/// are shown as escapes, so that a name cannot forge a line or move the cursor.
#[must_use]
pub fn escape(foreign: &str) -> String {
    let mut text = String::with_capacity(foreign.len());
    for character in foreign.chars() {
        if character.is_control() || reorders(character) {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

/// Zero-width, bidirectional and line-separating characters (Unicode `Cf`, `Zl`, `Zp`).
fn reorders(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Cells a text takes on a terminal at most.
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(cells).sum()
}

/// At least one, also for a mark on another character: a name of nothing but marks would fit into any line.
fn cells(character: char) -> usize {
    character.width().unwrap_or(0).max(1)
}

/// At most so many cells; what does not fit gives way to three dots.
#[must_use]
pub fn cut(text: &str, cells: usize) -> String {
    if width(text) <= cells {
        return text.to_owned();
    }
    let dots = &"..."[..cells.min(3)];
    let (mut kept, mut used) = (String::new(), dots.len());
    for character in text.chars() {
        used += self::cells(character);
        if used > cells {
            break;
        }
        kept.push(character);
    }
    kept + dots
}

/// Breaks at spaces; a word longer than a line is cut, and so are lines beyond so many.
#[must_use]
pub fn wrap(text: &str, cells: usize, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let word = cut(word, cells);
        match wrapped.last_mut() {
            Some(line) if width(line) + 1 + width(&word) <= cells => {
                line.push(' ');
                line.push_str(&word);
            }
            Some(_) | None => wrapped.push(word),
        }
    }
    if wrapped.len() > lines {
        wrapped.truncate(lines);
        if let Some(last) = wrapped.last_mut() {
            *last = cut(&format!("{last} ..."), cells);
        }
    }
    wrapped
}

fn digits(value: f64) -> String {
    if value >= 99.95 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else if value >= 9.995 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}

/// A value's name in the JSON, as words.
pub fn word(value: &impl serde::Serialize) -> String {
    let name = serde_json::to_value(value).ok();
    let name = name.as_ref().and_then(serde_json::Value::as_str);
    name.unwrap_or("?").replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let cases = [
            (0, "0 ns"),
            (350, "350 ns"),
            (1_250_000, "1.25 ms"),
            (999_999, "1.00 ms"),
            (60_000_000_000, "60 s"),
            (1_560_000_000_000, "26 min"),
            (7_200_000_000_000, "2 h"),
        ];
        for (ns, text) in cases {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn sizes_shares_and_factors_read_well() {
        assert_eq!(bytes(4 << 30), "4 GiB");
        assert_eq!(bytes(1_536), "1.50 KiB");
        assert_eq!(share(0.87), "87 %");
        assert_eq!(share(0.0), "0 %");
        assert_eq!(share(0.0002), "less than 0.1 %");
        assert_eq!(factor(1_800.2), "1,800");
        assert_eq!(factor(1.345), "1.34");
    }

    #[test]
    fn text_is_broken_at_spaces_and_cut_at_the_end() {
        assert_eq!(wrap("one two three", 7, 3), ["one two", "three"]);
        assert_eq!(wrap("one two three four", 7, 2), ["one two", "thre..."]);
        assert_eq!(wrap("abcdefghij", 6, 2), ["abc..."]);
        assert!(wrap("", 6, 2).is_empty());
    }

    #[test]
    fn cells_are_counted_not_characters() {
        assert_eq!(width("\u{6c38}\u{7389}"), 4);
        assert_eq!(
            cut("\u{6c38}\u{7389}\u{6c38}\u{7389}", 7),
            "\u{6c38}\u{7389}..."
        );
    }

    #[test]
    fn a_cut_text_is_never_wider_than_its_room() {
        assert_eq!(cut("abcdef", 2), "..");
        assert_eq!(cut("abcdef", 0), "");
        assert_eq!(cut("ab", 2), "ab");
    }

    #[test]
    fn marks_without_end_are_cut() {
        let name = format!("a{}", "\u{301}".repeat(10_000));
        assert_eq!(cut(&name, 7), "a\u{301}\u{301}\u{301}...");
        let lines = wrap(&name, 7, 2);
        assert!(
            lines.iter().all(|line| line.chars().count() <= 7),
            "{lines:?}"
        );
    }

    #[test]
    fn a_hostile_name_cannot_steer_a_terminal() {
        let name = "a\u{1b}[2Jb\nc\u{202e}d\u{9b}e";
        assert_eq!(escape(name), "a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}e");
    }
}
