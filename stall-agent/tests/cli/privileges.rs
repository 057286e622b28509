//! What the program answers somebody who is not root.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};

use super::{AGENT, is_root, sentence};

/// `nobody`
const NOBODY: u32 = 65534;

#[test]
fn without_privileges_a_trace_is_refused_and_the_rest_works() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("stall-agent");
    copy_by_another_process(Path::new(AGENT), &program);
    let trace = as_nobody(&program, &["trace", "--duration", "1h"]);
    assert!(sentence(&trace, 3).contains("run it as root"));
    let check = as_nobody(&program, &["check", "--format", "json"]);
    assert_eq!(check.status.code(), Some(3));
    let answer: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    assert_eq!(answer["traceable"], false);
    assert_eq!(as_nobody(&program, &["schema"]).status.code(), Some(0));
}

/// Copies a program that is to be executed. Were this process to write it, a child that another test forks
/// meanwhile would hold it open for writing until its own `execve`, and executing the copy would fail with
/// `ETXTBSY` (execve(2)).
pub(super) fn copy_by_another_process(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status();
    assert!(copied.expect("cp(1) is part of every Linux").success());
}

pub(super) fn as_nobody(program: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.output().expect("the copy of the program starts")
}

#[test]
fn a_program_that_is_set_uid_does_nothing() {
    if !is_root() {
        return;
    }
    // Where set-uid has an effect: not on every /tmp.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("stall-agent");
    copy_by_another_process(Path::new(AGENT), &program);
    for mode in [0o4755, 0o2755] {
        fs::set_permissions(&program, fs::Permissions::from_mode(mode)).unwrap();
        for arguments in [
            &["check"] as &[_],
            &["trace", "--duration", "1h"],
            &["schema"],
        ] {
            let said = sentence(&as_nobody(&program, arguments), 3);
            assert!(said.contains("is set-uid, set-gid"), "{said}");
        }
    }
}

/// The variables are such that a library, the loader of a thread or of a panic would look at.
#[test]
fn no_variable_has_a_say() {
    let planted = tempfile::tempdir().unwrap();
    let planted = planted.path();
    let of = |variables: &[(&str, &str)]| {
        let mut command = Command::new(AGENT);
        command.args(["check", "--format", "json"]);
        command.envs(variables.iter().copied());
        command.output().unwrap()
    };
    let path = planted.to_str().unwrap();
    let hostile = of(&[
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
        ("RUST_MIN_STACK", "18446744073709551615"),
        ("TMPDIR", path),
        ("HOME", path),
        ("XDG_CONFIG_HOME", path),
        ("HTTPS_PROXY", "http://127.0.0.1:1"),
        ("COMPLETE", "bash"),
        ("PATH", path),
        ("=a=b", "c"),
    ]);
    let plain = of(&[]);
    assert_eq!(hostile.status.code(), plain.status.code());
    assert_eq!(hostile.stdout, plain.stdout);
    assert_eq!(hostile.stderr, plain.stderr);
    assert_eq!(planted.read_dir().unwrap().count(), 0);
}
