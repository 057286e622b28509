//! Completions, asked for in the shells themselves.

use std::fs;
use std::process::Command;

use super::agent;

fn script(shell: &str) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    // zsh loads a function from the file of its name.
    let path = directory.path().join("_stall-agent");
    let output = agent(&["completions", shell]);
    assert_eq!(output.status.code(), Some(0));
    fs::write(&path, output.stdout).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

/// What a shell's program prints; `None` where there is no such shell.
fn printed(shell: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(shell).args(arguments).output().ok()?;
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shell}: {said}");
    Some(String::from_utf8(output.stdout).unwrap())
}

/// A line as it stands when Tab is pressed, and what is to be among what is offered.
const CASES: [(&str, &[&str]); 6] = [
    ("stall-agent tr", &["trace"]),
    ("stall-agent trace --d", &["--duration", "--device"]),
    ("stall-agent trace --format ", &["json", "text", "html"]),
    ("stall-agent check --format ", &["json", "text"]),
    ("stall-agent rec", &["record"]),
    ("stall-agent schema ", &["report", "comparison"]),
];

#[test]
fn bash_completes_every_word() {
    let (_directory, script) = script("bash");
    for (line, expected) in CASES {
        let press = format!(
            "source {script}
             line={line:?}
             read -ra COMP_WORDS <<<\"$line\"
             [[ $line == *' ' ]] && COMP_WORDS+=('')
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
             COMP_LINE=$line COMP_POINT=${{#line}}
             complete=$(complete -p stall-agent)
             complete=${{complete##*-F }}
             ${{complete%% *}} stall-agent \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let offered = printed("bash", &["--norc", "-c", &press]).expect("every Linux has bash");
        for word in expected {
            assert!(offered.lines().any(|one| one == *word), "{line}: {offered}");
        }
    }
}

#[test]
fn fish_completes_every_word() {
    let (_directory, script) = script("fish");
    for (line, expected) in CASES {
        let press = format!("source {script}; complete --do-complete '{line}'");
        let Some(offered) = printed("fish", &["--no-config", "-c", &press]) else {
            return;
        };
        let offered: Vec<&str> = offered
            .lines()
            .map(|one| one.split('\t').next().unwrap_or(one))
            .collect();
        for word in expected {
            assert!(offered.contains(word), "{line}: {offered:?}");
        }
    }
}

/// Its completion works in its line editor only, which needs a terminal: `zpty` gives it one.
#[test]
fn zsh_completes_every_word() {
    let (directory, _script) = script("zsh");
    let folder = directory.path().display();
    for (line, expected) in CASES {
        let press = format!(
            "zmodload zsh/zpty
             zpty shell zsh -f -i
             zpty -w shell 'PS1=; fpath=({folder} $fpath); autoload -U compinit; compinit -D -u; LISTMAX=1000; \
                zstyle \":completion:*\" list-prompt \"\"; bindkey \"^I\" list-choices; print -r -- be\"\"gin'
             zpty -m -r shell seen '*begin*'
             zpty -w -n shell $'{line}\\t'
             sleep 1
             zpty -w shell $'\\x15print -r -- en\"\"d'
             zpty -r -m shell offered '*end*'
             print -r -- $offered
             zpty -d shell"
        );
        let Some(offered) = printed("zsh", &["-f", "-c", &press]) else {
            return;
        };
        for word in expected {
            assert!(offered.contains(word), "{line}: {offered}");
        }
    }
}

#[test]
fn other_shells_have_completions_too() {
    for shell in ["elvish", "powershell"] {
        let output = agent(&["completions", shell]);
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(script.contains("stall-agent"), "{shell}");
    }
}
