//! Rust source with comments and literals blanked, so that what is left is code. Lines stay lines.

/// `text` with every comment, string and character replaced by spaces.
pub(super) fn mask(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let hidden = hidden(rest);
        let (head, tail) = rest.split_at(if hidden == 0 {
            first.len_utf8()
        } else {
            hidden
        });
        masked.extend(
            head.chars()
                .map(|c| if hidden == 0 || c == '\n' { c } else { ' ' }),
        );
        rest = tail;
    }
    masked
}

/// The length of the comment or literal that `rest` starts with.
fn hidden(rest: &str) -> usize {
    match rest.as_bytes() {
        [b'/', b'/', ..] => rest.find('\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => block_comment(rest),
        [b'"', ..] => 1 + quoted(&rest[1..], '"'),
        [b'r', b'"' | b'#', ..] => raw_string(rest),
        [b'\'', ..] => character(rest),
        _ => 0,
    }
}

/// They nest.
fn block_comment(rest: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while at < rest.len() {
        let (step, change) = match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth = depth.saturating_add_signed(change);
        if depth == 0 {
            return at;
        }
    }
    at
}

/// Up to and with the closing quote.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices() {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// `r"`, `r#"` and so on; `r#name` is a name.
fn raw_string(rest: &str) -> usize {
    let hashes = rest[1..].bytes().take_while(|byte| *byte == b'#').count();
    let open = hashes + 2;
    if rest.as_bytes().get(open - 1) != Some(&b'"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    rest[open..]
        .find(&end)
        .map_or(rest.len(), |at| open + at + end.len())
}

/// `'x'` or `'\n'`; a lifetime has no closing quote.
fn character(rest: &str) -> usize {
    let mut characters = rest[1..].char_indices();
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), _) => 1 + quoted(&rest[1..], '\''),
        (_, Some((at, '\''))) => at + 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::mask;

    fn visible(text: &str) -> String {
        mask(text).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_go_and_lines_stay() {
        assert_eq!(mask("a // b\nc"), "a     \nc");
        assert_eq!(visible("a /* b /* c */ d */ e"), "a e");
        assert_eq!(visible("a /**/ b /*/ */ c"), "a b c");
        assert_eq!(mask("/* x\n */").lines().count(), 2);
    }

    #[test]
    fn strings_go() {
        assert_eq!(visible(r#"a("{ \" }") b"#), "a( ) b");
        assert_eq!(visible(r##"a(r#"" {"#) b"##), "a( ) b");
        assert_eq!(visible(r"a(b'{') + '\'' + '\\' + c"), "a(b ) + + + c");
    }

    #[test]
    fn lifetimes_and_raw_names_stay() {
        assert_eq!(
            visible("fn f<'a>(r#type: &'a str)"),
            "fn f<'a>(r#type: &'a str)"
        );
    }
}
