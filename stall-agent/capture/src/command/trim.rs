//! What an `fstrim` was asked to do, by fstrim(8).

/// Its options; what it was not asked is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trim {
    /// `--all`: every mounted filesystem.
    pub all: bool,
    /// `--fstab`: every filesystem in `/etc/fstab`.
    pub fstab: bool,
    /// `--listed-in`: files that list filesystems, of which the first that is not empty counts.
    pub listed_in: Vec<String>,
    /// As typed; may have a unit.
    pub offset: Option<String>,
    pub length: Option<String>,
    pub minimum: Option<String>,
    pub dry_run: bool,
    pub mount_points: Vec<String>,
}

impl Trim {
    /// Reads the arguments, the first of which is the program.
    #[must_use]
    pub fn read(args: &[String]) -> Self {
        let mut trim = Self::default();
        let mut words = args.iter().skip(1).map(String::as_str);
        while let Some(word) = words.next() {
            match word.strip_prefix("--") {
                Some("") => trim.mount_points.extend(words.by_ref().map(str::to_owned)),
                Some(long) => trim.long(long, &mut words),
                None if word.starts_with('-') && word.len() > 1 => {
                    trim.short(&word[1..], &mut words);
                }
                None => trim.mount_points.push(word.to_owned()),
            }
        }
        trim
    }

    fn long<'a>(&mut self, option: &'a str, rest: &mut impl Iterator<Item = &'a str>) {
        let (name, attached) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let letter = match name {
            "all" => 'a',
            "fstab" => 'A',
            "listed-in" => 'I',
            "offset" => 'o',
            "length" => 'l',
            "minimum" => 'm',
            "dry-run" => 'n',
            "types" => 't',
            _ => return,
        };
        if takes_value(letter) {
            self.value(letter, attached.or_else(|| rest.next()));
        } else {
            self.flag(letter);
        }
    }

    /// `-av`, `-o1M`, `-o 1M`
    fn short<'a>(&mut self, letters: &'a str, rest: &mut impl Iterator<Item = &'a str>) {
        for (at, letter) in letters.char_indices() {
            if takes_value(letter) {
                let attached = &letters[at + letter.len_utf8()..];
                let attached = (!attached.is_empty()).then_some(attached);
                self.value(letter, attached.or_else(|| rest.next()));
                return;
            }
            self.flag(letter);
        }
    }

    fn flag(&mut self, letter: char) {
        match letter {
            'a' => self.all = true,
            'A' => self.fstab = true,
            'n' => self.dry_run = true,
            _ => {}
        }
    }

    fn value(&mut self, letter: char, value: Option<&str>) {
        let owned = value.map(str::to_owned);
        match letter {
            'I' => {
                let files = value.unwrap_or_default().split(':');
                self.listed_in = files
                    .filter(|file| !file.is_empty())
                    .map(str::to_owned)
                    .collect();
            }
            'o' => self.offset = owned,
            'l' => self.length = owned,
            'm' => self.minimum = owned,
            _ => {}
        }
    }
}

const fn takes_value(letter: char) -> bool {
    matches!(letter, 'I' | 'o' | 'l' | 'm' | 't')
}
