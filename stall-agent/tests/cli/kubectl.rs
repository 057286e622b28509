//! `kubectl stall-agent`, with a kubectl that notes what it is asked and answers as a cluster of two nodes would.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::AGENT;

/// A folder with the plugin, its manifests, the agent, and a kubectl of two nodes.
struct Cluster(tempfile::TempDir);

impl Cluster {
    fn new(namespace_is_there: bool, waits: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for file in ["kubectl-stall_agent", "one-node.yaml", "every-node.yaml"] {
            fs::copy(root.join("deploy").join(file), folder.path().join(file)).unwrap();
        }
        symlink(AGENT, folder.path().join("stall-agent")).unwrap();
        let captures = root.join("tests/fixtures/captures");
        let status = |holds: bool| i32::from(!holds);
        let stub = format!(
            "#!/bin/sh\nprintf '%s\\n' \"$*\" >> asked\ncase \"$*\" in\n\
             'get namespace stall-agent') exit {} ;;\n\
             'get nodes --no-headers') echo a; echo b ;;\n\
             'get node '*) [ \"$3\" = harvester-1 ] ;;\n\
             'create -f -') cat > manifest ;;\n\
             *' wait '*) exit {} ;;\n\
             *' get pods '*) echo pod-0 harvester-1; echo pod-1 harvester-2 ;;\n\
             *' logs pod-0') cat '{}' ;;\n\
             *' logs pod-1') cat '{}' ;;\n\
             esac\n",
            status(namespace_is_there),
            status(waits),
            captures.join("trim_and_readers.json").display(),
            captures.join("busy_and_well.json").display(),
        );
        let kubectl = folder.path().join("kubectl");
        fs::write(&kubectl, stub).unwrap();
        fs::set_permissions(&kubectl, fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap();
        Command::new(self.file("kubectl-stall_agent"))
            .args(arguments)
            .current_dir(self.0.path())
            .env("PATH", format!("{}:{path}", self.0.path().display()))
            .output()
            .unwrap()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap_or_default()
    }
}

const DELETED: &str = "delete namespace stall-agent --ignore-not-found";

#[test]
fn every_node_is_traced_and_nothing_is_left() {
    let cluster = Cluster::new(false, true);
    let output = cluster.run(&[]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
    let manifest = cluster.read("manifest");
    assert!(manifest.contains("completions: 2") && manifest.contains("parallelism: 2"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("NODES") && text.contains("stall-harvester-2.json"),
        "{text}"
    );
    assert_eq!(cluster.read("asked").lines().last(), Some(DELETED));
}

#[test]
fn one_node_is_traced_by_its_name() {
    let cluster = Cluster::new(false, true);
    assert!(cluster.run(&["harvester-1"]).status.success());
    assert!(cluster.read("manifest").contains("nodeName: harvester-1"));
    let cluster = Cluster::new(false, true);
    let output = cluster.run(&["harvester-9"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no node harvester-9"));
    assert!(!cluster.read("asked").contains("create"));
}

#[test]
fn what_is_not_its_own_is_left_alone_and_what_is_goes_also_after_a_failure() {
    let cluster = Cluster::new(true, true);
    let output = cluster.run(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(cluster.read("asked"), "get namespace stall-agent\n");
    let cluster = Cluster::new(false, false);
    let output = cluster.run(&[]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("the trace did not end"));
    assert_eq!(cluster.read("asked").lines().last(), Some(DELETED));
}
