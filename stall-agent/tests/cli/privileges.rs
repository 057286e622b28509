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
fn copy_by_another_process(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status();
    assert!(copied.expect("cp(1) is part of every Linux").success());
}

fn as_nobody(program: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/");
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.output().expect("the copy of the program starts")
}
