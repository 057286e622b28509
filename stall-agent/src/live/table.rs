//! Rows in columns: as many as there is room for, each cell where its column is, whatever the others hold.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use stall_report::{Paint, cut, width};

/// What a row says by the way it looks, where that is not all that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    Good,
    Bad,
    Doubt,
}

/// A cell for each column; safe to show.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) mark: Mark,
    pub(super) cells: Vec<String>,
}

/// A column.
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Cells; the last column that is shown has what is left.
    pub(super) room: u16,
    pub(super) is_right: bool,
    /// Only on screens at least that wide.
    pub(super) from: u16,
}

/// Titles, and the rows that fit below them.
pub(super) struct Table<'a> {
    pub(super) columns: &'a [Column],
    pub(super) rows: &'a [Row],
    /// What is said when there are no rows.
    pub(super) none: &'a str,
}

impl Table<'_> {
    /// Lines it would fill.
    pub(super) fn lines(&self) -> u16 {
        let rows = u16::try_from(self.rows.len()).unwrap_or(u16::MAX - 1);
        if rows == 0 { 1 } else { rows + 1 }
    }

    /// Drawn from the top of the area; the last line tells of what does not fit.
    pub(super) fn draw(&self, buffer: &mut Buffer, area: Rect, paint: Paint) {
        let mut lines = area.rows();
        let Some(first) = lines.next() else { return };
        if self.rows.is_empty() {
            text(buffer, first, self.none, Style::new());
            return;
        }
        let titles: Vec<&str> = self.columns.iter().map(|column| column.title).collect();
        self.line(buffer, first, &titles, heading());
        let room = usize::from(area.height) - 1;
        // One row says more than how many there are.
        let is_cut = self.rows.len() > room && room > 1;
        let shown = if is_cut { room - 1 } else { room };
        for (row, line) in self.rows.iter().take(shown).zip(&mut lines) {
            let cells: Vec<&str> = row.cells.iter().map(String::as_str).collect();
            self.line(buffer, line, &cells, row.mark.style(paint));
        }
        if let Some(line) = lines.next().filter(|_| is_cut) {
            let more = format!("and {} more", self.rows.len() - shown);
            text(buffer, line, &more, Style::new());
        }
    }

    fn line(&self, buffer: &mut Buffer, area: Rect, cells: &[&str], style: Style) {
        let columns = self.columns.iter().zip(cells);
        let shown = columns.filter(|(column, _)| column.from <= area.width);
        let shown: Vec<_> = shown.collect();
        let mut x = area.x;
        for (number, (column, cell)) in shown.iter().enumerate() {
            let left = area.right().saturating_sub(x);
            let is_last = number + 1 == shown.len();
            let room = if is_last && !column.is_right {
                left
            } else {
                column.room.min(left)
            };
            let cell = cut(cell, usize::from(room));
            let blanks = if column.is_right {
                usize::from(room).saturating_sub(width(&cell))
            } else {
                0
            };
            let place = Rect {
                x: x + blanks as u16,
                width: room - blanks as u16,
                ..area
            };
            text(buffer, place, &cell, style);
            x += (room + 2).min(left);
        }
    }
}

impl Mark {
    pub(super) fn style(self, paint: Paint) -> Style {
        let colour = match self {
            Self::None => return Style::new(),
            Self::Good => Color::Green,
            Self::Bad => Color::Red,
            Self::Doubt => Color::Yellow,
        };
        let bold = Style::new().add_modifier(Modifier::BOLD);
        match paint {
            Paint::Plain => bold,
            Paint::Colour => bold.fg(colour),
        }
    }
}

/// How titles look.
pub(super) const fn heading() -> Style {
    Style::new().add_modifier(Modifier::UNDERLINED)
}

/// One line, from the left of the area.
pub(super) fn text(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    if area.height > 0 {
        buffer.set_stringn(area.x, area.y, text, usize::from(area.width), style);
    }
}
