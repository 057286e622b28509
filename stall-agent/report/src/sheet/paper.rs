//! Lines: headings, wrapped text, columns.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style as Ansi};

use crate::shell;
use crate::text::{cut, escape, width, wrap};

const INDENT: usize = 2;

/// Whether to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Colour,
}

/// How a line looks where there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    Heading,
    Good,
    Bad,
    Doubt,
    Command,
}

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Width and alignment.
pub(super) type Column = (usize, Align);

/// The text so far.
pub(super) struct Paper {
    text: String,
    paint: Paint,
    /// Of a line.
    cells: usize,
}

impl Paper {
    pub(super) const fn new(paint: Paint, cells: usize) -> Self {
        Self {
            text: String::new(),
            paint,
            cells,
        }
    }

    pub(super) fn text(self) -> String {
        self.text
    }

    /// A heading, after an empty line.
    pub(super) fn heading(&mut self, text: &str) {
        self.text.push('\n');
        self.line(text, Style::Heading);
    }

    /// One line; what does not fit is cut.
    pub(super) fn line(&mut self, text: &str, style: Style) {
        let text = cut(&escape(text), self.cells);
        self.painted(&text, style);
    }

    /// Text broken into lines, so many steps to the right.
    pub(super) fn text_at(&mut self, steps: usize, text: &str) {
        self.item(&" ".repeat(steps * INDENT), text);
    }

    /// The same, whose first line begins with something.
    pub(super) fn item(&mut self, first: &str, text: &str) {
        let room = self.cells - width(first);
        for (index, line) in wrap(&escape(text), room, usize::MAX).iter().enumerate() {
            let before = if index == 0 {
                first.to_owned()
            } else {
                " ".repeat(width(first))
            };
            self.push(&format!("{before}{line}"));
        }
    }

    /// What to type: whole, since a cut command is another command. Longer than a line, it goes on in the next one in the
    /// way a shell reads it, also where a single word is longer.
    pub(super) fn command(&mut self, command: &str) {
        for line in shell::lines(&escape(command), 3 * INDENT, self.cells) {
            self.painted(&line, Style::Command);
        }
    }

    /// Columns, one step to the right; what does not fit into one is cut.
    pub(super) fn row(&mut self, columns: &[Column], cells: &[&str]) {
        let mut line = " ".repeat(INDENT);
        for (index, ((room, align), cell)) in columns.iter().zip(cells).enumerate() {
            if index > 0 {
                line.push(' ');
            }
            let cell = cut(&escape(cell), *room);
            let blanks = " ".repeat(room - width(&cell));
            match align {
                Align::Left => line.extend([cell.as_str(), &blanks]),
                Align::Right => line.extend([blanks.as_str(), &cell]),
            }
        }
        self.push(line.trim_end());
    }

    fn painted(&mut self, text: &str, style: Style) {
        match self.paint {
            Paint::Plain => self.push(text),
            Paint::Colour => {
                let style = style.ansi();
                self.push(&format!("{style}{text}{style:#}"));
            }
        }
    }

    fn push(&mut self, line: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{line}");
    }
}

impl Style {
    const fn ansi(self) -> Ansi {
        match self {
            Self::Heading => Ansi::new().bold(),
            Self::Good => AnsiColor::Green.on_default().bold(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Doubt => AnsiColor::Yellow.on_default().bold(),
            Self::Command => AnsiColor::Cyan.on_default(),
        }
    }
}

/// So many of a list; beyond, how many more there are.
pub(super) fn most<'a, T>(
    paper: &mut Paper,
    all: &'a [T],
    shown: usize,
    mut write: impl FnMut(&mut Paper, &'a T),
) {
    for one in all.iter().take(shown) {
        write(paper, one);
    }
    if all.len() > shown {
        paper.text_at(1, &format!("and {} more", all.len() - shown));
    }
}
