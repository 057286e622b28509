//! A command on lines of 80 cells that a shell reads as the command it is, when they are pasted as they stand.
//!
//! Between words a line goes on with `\`; blanks in quotes are no place to break. Within an unquoted word that is longer than a
//! line the next line begins in the first column: a backslash before the end of a line takes both away.

/// `$ ` is no part of it.
const FIRST: &str = "      ";
const NEXT: &str = "          ";
/// Room for the mark and the backslash.
const ROOM: usize = 80 - 2;

/// The lines, of which the first begins with six blanks.
pub(super) fn lines(command: &str) -> Vec<String> {
    let mut done = Vec::new();
    let mut line = FIRST.to_owned();
    let mut is_empty = true;
    for word in words(command) {
        if !is_empty && line.len() + 1 + word.len() > ROOM {
            done.push(line + " \\");
            line = NEXT.to_owned();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        is_empty = false;
        let mut rest = word.as_str();
        while line.len() + rest.len() > ROOM && !rest.contains('\'') && rest.is_ascii() {
            let (head, tail) = rest.split_at(ROOM - line.len());
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
        lines(command).join("\n").replace("\\\n", "")
    }

    #[test]
    fn lines_are_the_command_again() {
        let path = "/sys/fs/cgroup".to_owned() + &"/kubepods-burstable-pod5d2b6a7f".repeat(9);
        let long = format!("echo '259:0 wbps=1048576' > {path}/io.max");
        let yaml = "printf '%s\\n' 'stages:' '  initramfs:' '    - systemctl: {mask: [fstrim.timer]}' > /oem/99_fstrim.yaml";
        for command in ["kill 7", &long, yaml] {
            assert_eq!(words(&joined(command)), words(command));
            assert!(lines(command).iter().all(|line| line.len() <= 80));
        }
        assert!(lines(&long).len() > 3);
    }
}
