//! Licences as packages tell them: SPDX expressions, and the slash from before there were such.

/// Whether what is allowed suffices. `MIT OR X` is allowed when MIT is, `MIT AND X` when both are.
pub(super) fn is_allowed(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let mut parser = Parser {
        next: words.next(),
        rest: &mut words,
        allowed,
    };
    // What is left over makes no sense.
    parser.any() && parser.next.is_none()
}

struct Parser<'a, 'b> {
    next: Option<&'a str>,
    rest: &'b mut dyn Iterator<Item = &'a str>,
    allowed: &'b dyn Fn(&str) -> bool,
}

impl Parser<'_, '_> {
    fn any(&mut self) -> bool {
        let mut result = self.all();
        while self.skip("OR") {
            // Read in any case.
            result |= self.all();
        }
        result
    }

    fn all(&mut self) -> bool {
        let mut result = self.one();
        while self.skip("AND") {
            result &= self.one();
        }
        result
    }

    fn one(&mut self) -> bool {
        if self.skip("(") {
            let result = self.any();
            return self.skip(")") && result;
        }
        let Some(licence) = self.take() else {
            return false;
        };
        // An exception only allows more.
        if self.skip("WITH") {
            self.take();
        }
        (self.allowed)(licence)
    }

    fn skip(&mut self, word: &str) -> bool {
        let is_next = self.next == Some(word);
        if is_next {
            self.take();
        }
        is_next
    }
}

impl<'a> Parser<'a, '_> {
    fn take(&mut self) -> Option<&'a str> {
        std::mem::replace(&mut self.next, self.rest.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(expression: &str) -> bool {
        is_allowed(expression, &|licence| {
            ["MIT", "Unicode-3.0"].contains(&licence)
        })
    }

    #[test]
    fn one_of_several_suffices_and_all_of_several_are_needed() {
        for yes in [
            "MIT",
            "X OR MIT",
            "MIT/X",
            "(MIT OR X) AND Unicode-3.0",
            "X WITH Y OR MIT",
        ] {
            assert!(allowed(yes), "{yes}");
        }
        for no in ["X", "MIT AND X", "X OR Y", "(MIT OR X) AND Y", "X WITH MIT"] {
            assert!(!allowed(no), "{no}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_not_allowed() {
        for no in ["", "MIT MIT", "(MIT", "MIT )", "OR"] {
            assert!(!allowed(no), "{no}");
        }
    }
}
