//! A command on lines of a terminal that a shell reads as the command it is, when they are pasted as they stand.
//!
//! Between words a line goes on with `\`; blanks in quotes are no place to break. Within an unquoted word that is longer than a
//! line the next line begins in the first column: a backslash before the end of a line takes both away.

/// The lines; the first begins with so many blanks, and those that follow with four more.
pub(crate) fn lines(command: &str, indent: usize, cells: usize) -> Vec<String> {
    // Room for the mark and the backslash.
    let room = cells - 2;
    let mut done = Vec::new();
    let mut line = " ".repeat(indent);
    let mut is_empty = true;
    for word in words(command) {
        if !is_empty && line.len() + 1 + word.len() > room {
            done.push(line + " \\");
            // A long word begins further to the left, so that it fits.
            line = " ".repeat((indent + 4).min(room.saturating_sub(word.len())));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        is_empty = false;
        let mut rest = word.as_str();
        while line.len() + rest.len() > room && !rest.contains('\'') && rest.is_ascii() {
            let (head, tail) = rest.split_at(room - line.len());
            done.push(format!("{line}{head}\\"));
            line = String::new();
            rest = tail;
        }
        line.push_str(rest);
    }
    done.push(line);
    done
}

/// Parts between blanks that are in no single quotes.
fn words(command: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for character in command.chars() {
        quoted ^= character == '\'';
        if character == ' ' && !quoted {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(character);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a shell does first with a backslash before the end of a line.
    fn joined(command: &str) -> String {
        lines(command, 6, 80).join("\n").replace("\\\n", "")
    }

    #[test]
    fn lines_are_the_command_again() {
        let path = "/sys/fs/cgroup".to_owned() + &"/kubepods-burstable-pod5d2b6a7f".repeat(9);
        let long = format!("echo '259:0 wbps=1048576' > {path}/io.max");
        let yaml = "printf '%s\\n' 'stages:' '  initramfs:' '    - systemctl: {mask: [fstrim.timer]}' > /oem/99_fstrim.yaml";
        for command in ["kill 7", &long, yaml] {
            assert_eq!(words(&joined(command)), words(command));
            assert!(lines(command, 6, 80).iter().all(|line| line.len() <= 80));
        }
        assert!(lines(&long, 6, 80).len() > 3);
    }
}
