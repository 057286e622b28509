//! The incidents there are: their lines and their files, bounded. Pure.

use super::line::Line;

/// Files kept, and their bytes in all.
pub const MOST_FILES: usize = 16;
pub const MOST_BYTES: u64 = 64 << 20;
/// Lines kept.
const MOST_LINES: usize = 2_000;

/// All lines, the oldest first.
#[derive(Debug, Default)]
pub struct Book {
    lines: Vec<Line>,
}

impl Book {
    /// Of what was written before; lines that cannot be read are left out.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let lines = text.lines();
        let lines = lines.filter_map(|line| serde_json::from_str(line).ok());
        let mut book = Self::default();
        lines.for_each(|line| {
            book.add(line);
        });
        book
    }

    /// As it is written.
    ///
    /// # Errors
    ///
    /// When a line cannot be made JSON.
    pub fn text(&self) -> serde_json::Result<String> {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        Ok(text)
    }

    #[must_use]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Adds one, or puts it in place of that of the same id. Returns the files to be removed: of the older half of them the one in
    /// which the least was lost, again and again until the rest fits.
    pub fn add(&mut self, line: Line) -> Vec<String> {
        match self.lines.iter_mut().find(|known| known.id == line.id) {
            Some(known) => *known = line,
            None => self.lines.push(line),
        }
        let mut removed = Vec::new();
        while let Some(at) = self.superfluous() {
            removed.extend(self.lines[at].file.take());
            self.lines[at].file_bytes = None;
        }
        while self.lines.len() > MOST_LINES {
            removed.extend(self.lines.remove(0).file);
        }
        removed
    }

    /// The line whose file goes next.
    fn superfluous(&self) -> Option<usize> {
        let with_file = |line: &Line| line.file.is_some();
        let kept: Vec<usize> = (0..self.lines.len())
            .filter(|at| with_file(&self.lines[*at]))
            .collect();
        let bytes: u64 = self.lines.iter().filter_map(|line| line.file_bytes).sum();
        if kept.len() <= MOST_FILES && bytes <= MOST_BYTES || kept.len() <= 1 {
            return None;
        }
        let older = &kept[..kept.len().div_ceil(2)];
        let least = older.iter().min_by_key(|at| self.lines[**at].lost_ns);
        least.copied()
    }
}

#[cfg(test)]
mod tests {
    use super::super::line::{SCHEMA, State};
    use super::*;
    use stall_report::model::Kind;

    fn line(id: u64, lost_ns: u64, bytes: u64) -> Line {
        Line {
            schema: SCHEMA.to_owned(),
            id: id.to_string(),
            from: String::new(),
            to: String::new(),
            began: String::new(),
            ended: String::new(),
            state: State::Ended,
            triggers: [].into(),
            fingerprint: String::new(),
            kind: Kind::HostTrim,
            confidence: None,
            device: None,
            culprits: Vec::new(),
            victims: Vec::new(),
            lost_ns,
            sentence: String::new(),
            proof: None,
            file: Some(format!("{id}.json")),
            file_bytes: Some(bytes),
            count: 1,
        }
    }

    #[test]
    fn the_least_of_the_older_half_goes_first() {
        let mut book = Book::default();
        for id in 0..16 {
            assert!(
                book.add(line(id, if id == 3 { 1 } else { 100 }, 10))
                    .is_empty()
            );
        }
        assert_eq!(book.add(line(16, 0, 10)), ["3.json"]);
        assert_eq!(book.lines()[3].file, None);
        assert_eq!(book.lines().len(), 17);
        // What is new stays, however little was lost in it.
        assert_eq!(book.add(line(17, 0, 10)), ["0.json"]);
    }

    #[test]
    fn bytes_are_bounded_and_the_last_one_stays_whatever_its_size() {
        let mut book = Book::default();
        book.add(line(0, 5, MOST_BYTES / 2));
        book.add(line(1, 5, MOST_BYTES / 2));
        assert_eq!(book.add(line(2, 5, 1)), ["0.json"]);
        assert_eq!(book.add(line(3, 5, 2 * MOST_BYTES)), ["1.json", "2.json"]);
    }

    #[test]
    fn what_was_written_is_read_again_and_damage_costs_a_line() {
        let mut book = Book::default();
        (0..3).for_each(|id| drop(book.add(line(id, id, 1))));
        let mut replaced = line(1, 7, 9);
        replaced.count = 4;
        book.add(replaced);
        let text = book.text().unwrap();
        assert_eq!(text.lines().count(), 3);
        assert_eq!(Book::read(&text).lines(), book.lines());
        let damaged = text.replacen("{", "", 1);
        assert_eq!(Book::read(&damaged).lines(), &book.lines()[1..]);
    }
}
