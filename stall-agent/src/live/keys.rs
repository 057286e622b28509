//! What is typed: the keys that leave the view, told from the escape sequences that other keys send.

use std::time::Duration;

const CTRL_C: u8 = 3;
const ESCAPE: u8 = 0x1b;
/// The rest of a sequence comes sooner, over a serial line too.
const PATIENCE: Duration = Duration::from_millis(50);

/// Where in a sequence the last byte was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Keys {
    #[default]
    Plain,
    /// After an escape: the key itself, or the first byte of a sequence.
    Escape,
    /// After `ESC [` or `ESC O`, until a final byte.
    Sequence,
}

impl Keys {
    /// Whether somebody leaves; `None` is that nothing was typed in the time waited.
    pub(super) fn leave(&mut self, typed: Option<&[u8]>) -> bool {
        let Some(typed) = typed else {
            return std::mem::take(self) == Self::Escape;
        };
        typed.iter().any(|byte| self.is_end(*byte))
    }

    /// How long to wait for the rest of a sequence.
    pub(super) fn patience(self) -> Option<Duration> {
        (self == Self::Escape).then_some(PATIENCE)
    }

    fn is_end(&mut self, byte: u8) -> bool {
        let (next, end) = match (*self, byte) {
            (Self::Plain, b'q' | b'Q') | (_, CTRL_C) | (Self::Escape, ESCAPE) => {
                (Self::Plain, true)
            }
            (_, ESCAPE) => (Self::Escape, false),
            (Self::Escape, b'[' | b'O') => (Self::Sequence, false),
            // A letter with Alt; the final byte of a sequence (ECMA-48).
            (Self::Plain | Self::Escape, _) | (Self::Sequence, 0x40..=0x7e) => (Self::Plain, false),
            (Self::Sequence, _) => (Self::Sequence, false),
        };
        *self = next;
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(parts: &[Option<&[u8]>]) -> bool {
        let mut keys = Keys::default();
        parts.iter().any(|typed| keys.leave(*typed))
    }

    #[test]
    fn q_escape_and_ctrl_c_leave() {
        for typed in [&b"q"[..], b"Q", b"xq", b"\x03", b"\x1b\x1b", b"\x1b[A\x03"] {
            assert!(leaves(&[Some(typed)]), "{typed:?}");
        }
        assert!(leaves(&[Some(b"\x1b"), None]));
    }

    #[test]
    fn other_keys_do_not() {
        for typed in [
            &b"x"[..],
            b"\x1b[A",
            b"\x1b[1;5q",
            b"\x1bOQ",
            b"\x1bq",
            b"\x1b[24~",
        ] {
            assert!(!leaves(&[Some(typed), None]), "{typed:?}");
        }
        assert!(!leaves(&[Some(b"\x1b"), Some(b"[A"), None]));
        assert!(!leaves(&[None, None]));
    }

    #[test]
    fn only_an_escape_is_waited_after() {
        let mut keys = Keys::default();
        assert_eq!(keys.patience(), None);
        keys.leave(Some(b"\x1b"));
        assert_eq!(keys.patience(), Some(PATIENCE));
        keys.leave(Some(b"[A"));
        assert_eq!(keys.patience(), None);
    }
}
