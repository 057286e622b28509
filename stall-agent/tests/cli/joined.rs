//! Reports of three Harvester nodes, one answer: a VM on one, the replicas of its volume on the others. The nodes are
//! recorded incidents under the names that a Harvester host has.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{agent, refused};

const VOLUME: &str = "pvc-7c2f4d1e-0a5b-4c8e-9f13-6d2b8e4a7c90";
const MANAGER: &str = "instance-manager-2f8c3b";
/// Of the window, nanoseconds since 1970.
const START: i64 = 1_796_065_200_000_000_000;
const SECOND: i64 = 1_000_000_000;

/// A recorded incident as of a node, whose disk and one of whose processes have other names.
struct Node {
    name: &'static str,
    capture: Value,
}

impl Node {
    fn new(name: &'static str, incident: &str, after_ns: i64) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/captures");
        let text = fs::read_to_string(folder.join(format!("{incident}.json"))).unwrap();
        let mut capture: Value = serde_json::from_str(&text).unwrap();
        capture["host"]["hostname"] = json!(name);
        capture["window"]["start_unix_ns"] = json!(START + after_ns);
        Self { name, capture }
    }

    fn disk(mut self, name: &str, (major, minor): (u32, u32), transport: &str) -> Self {
        let disk = &mut self.capture["disks"][0];
        disk["name"] = json!(name);
        disk["major"] = json!(major);
        disk["minor"] = json!(minor);
        let facts = &mut disk["facts"];
        facts["transport"] = json!(transport);
        facts["backing_file"] = Value::Null;
        facts["backing_device"] = Value::Null;
        if transport == "iscsi" {
            facts["iscsi_target"] = json!(format!("iqn.2019-10.io.longhorn:{VOLUME}"));
        }
        self
    }

    /// In its actor, and in the tasks of it that were blocked.
    fn process(mut self, pid: u32, change: &Value) -> Self {
        for rows in ["actors", "tasks"] {
            for row in self.capture[rows].as_array_mut().unwrap() {
                if row["process"]["pid"] == pid {
                    for (field, value) in change.as_object().unwrap() {
                        row["process"][field] = value.clone();
                    }
                }
            }
        }
        self
    }

    fn write(&self, folder: &Path) -> String {
        let path: PathBuf = folder.join(format!("{}.json", self.name));
        fs::write(&path, self.capture.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

fn longhorn(arguments: &[&str], pod: &str, address: &str) -> Value {
    let program = "/host/var/lib/longhorn/engine-binaries/rancher-longhorn-engine-v1.10.1/longhorn";
    let args: Vec<&str> = [program]
        .into_iter()
        .chain(arguments.iter().copied())
        .collect();
    json!({
        "comm": "longhorn",
        "exe": program,
        "args": args,
        "pod": {
            "uid": null, "namespace": "longhorn-system", "name": pod, "container": "instance-manager",
            "container_id": null, "addresses": [address],
        },
    })
}

/// Where the VM runs: its volume is an iSCSI disk that is slow for it.
fn home(replicas: [&str; 2]) -> Node {
    let mut node = Node::new("harvester-1", "slow_disk", 0)
        .disk("sda", (8, 0), "iscsi")
        .process(
            966,
            &json!({
                "comm": "qemu-kvm",
                "exe": "/usr/libexec/qemu-kvm",
                "args": ["/usr/libexec/qemu-kvm", "-name", "guest=default_kube-master-01,debug-threads=on", "-S"],
                "pod": {
                    "uid": null, "namespace": "default", "name": "virt-launcher-kube-master-01-x7k2p",
                    "container": "compute", "container_id": null, "addresses": ["10.52.0.77"],
                },
                "open_disks": [{ "path": "/dev/disk-0", "major": 8, "minor": 0 }],
            }),
        );
    let mut arguments = vec!["--engine-instance-name", "x-e-0", "controller", VOLUME];
    arguments.extend(["--frontend", "tgt-blockdev"]);
    for address in replicas {
        arguments.extend(["--replica", address]);
    }
    let mut engine = node.capture["actors"][2]["process"].clone();
    for (field, value) in longhorn(&arguments, MANAGER, "10.52.0.31")
        .as_object()
        .unwrap()
    {
        engine[field] = value.clone();
    }
    engine["pid"] = json!(3300);
    engine["open_disks"] = json!([]);
    if !node.capture["inventory"].is_object() {
        node.capture["inventory"] = json!({});
    }
    node.capture["inventory"]["processes"] = json!([engine]);
    node
}

fn replica(address: &str) -> Value {
    let directory = format!("/host/var/lib/harvester/defaultdisk/replicas/{VOLUME}-0a1b2c3d");
    let arguments = [
        "--volume-name",
        VOLUME,
        "replica",
        &directory,
        "--listen",
        "0.0.0.0:10000",
    ];
    longhorn(&arguments, MANAGER, address)
}

/// A replica's node on which the host trims its disk.
fn trimmed(after_ns: i64) -> Node {
    Node::new("harvester-2", "trim_and_readers", after_ns)
        .disk("nvme0n1", (259, 0), "nvme")
        .process(32_236, &replica("10.52.1.44"))
        .process(32_240, &json!({ "unit": "fstrim.service" }))
}

/// A replica's node on which all is well.
fn well() -> Node {
    Node::new("harvester-3", "busy_and_well", SECOND / 5)
        .disk("nvme0n1", (259, 0), "nvme")
        .process(4_076, &replica("10.52.2.58"))
}

const REPLICAS: [&str; 2] = ["tcp://10.52.1.44:10010", "tcp://10.52.2.58:10000"];

fn joined(nodes: &[Node]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let files: Vec<String> = nodes.iter().map(|node| node.write(folder.path())).collect();
    let arguments = ["report"]
        .into_iter()
        .chain(files.iter().map(String::as_str));
    let text: Vec<&str> = arguments.clone().collect();
    let text = agent(&text);
    let shown = String::from_utf8(text.stdout).unwrap();
    assert!(
        shown.lines().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
    let json: Vec<&str> = arguments.chain(["--format", "json"]).collect();
    let output = agent(&json);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let joined: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sentence: String = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        sentence.starts_with(joined["sentence"].as_str().unwrap()),
        "{shown}"
    );
    joined
}

fn missing(joined: &Value) -> Vec<&str> {
    let missing = joined["missing"].as_array().unwrap().iter();
    missing.map(|one| one.as_str().unwrap()).collect()
}

#[test]
fn a_slow_volume_leads_to_the_trim_on_its_replicas_node() {
    let joined = joined(&[home(REPLICAS), trimmed(SECOND / 10), well()]);
    let sentence = joined["sentence"].as_str().unwrap();
    for part in [
        "VM default/kube-master-01 on harvester-1 waits on volume pvc-7c2f4d1e",
        "its replica on harvester-2 waits for nvme0n1",
        "a filesystem trim on this host, fstrim",
        "the replica on harvester-3 is fine",
    ] {
        assert!(sentence.contains(part), "{part}: {joined:#}");
    }
    assert!(missing(&joined).is_empty(), "{joined:#}");
    let replicas = joined["volumes"][0]["replicas"].as_array().unwrap();
    let slow: Vec<&Value> = replicas.iter().map(|replica| &replica["slow"]).collect();
    assert_eq!(slow, [true, false]);
}

#[test]
fn replicas_that_are_all_fast_leave_what_lies_between() {
    let other = Node {
        name: "harvester-2",
        capture: well().process(4_076, &replica("10.52.1.44")).capture,
    };
    let other = Node {
        capture: {
            let mut capture = other.capture.clone();
            capture["host"]["hostname"] = json!("harvester-2");
            capture
        },
        ..other
    };
    let joined = joined(&[home(REPLICAS), other, well()]);
    let sentence = joined["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("the network, the engine or iSCSI"),
        "{joined:#}"
    );
}

#[test]
fn a_node_without_a_report_is_named() {
    let joined = joined(&[home(REPLICAS), well()]);
    let missing = missing(&joined);
    assert_eq!(missing.len(), 1, "{joined:#}");
    assert!(missing[0].contains("at tcp://10.52.1.44:10010 is on a node without a report"));
    let sentence = joined["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("it may wait for what was not seen"),
        "{sentence}"
    );
}

#[test]
fn windows_that_do_not_overlap_explain_nothing() {
    let joined = joined(&[home(REPLICAS), trimmed(3_600 * SECOND), well()]);
    assert!(joined["common_start"].is_null());
    assert!(
        joined["sentence"]
            .as_str()
            .unwrap()
            .contains("no time in common")
    );
    assert!(
        missing(&joined)[0].contains("--start-at /10s"),
        "{joined:#}"
    );
    assert!(
        joined["volumes"][0]["replicas"][0]["slow"].is_null(),
        "{joined:#}"
    );
}

#[test]
fn clocks_that_are_apart_are_told() {
    let joined = joined(&[home(REPLICAS), trimmed(2 * SECOND), well()]);
    let missing = missing(&joined);
    assert!(
        missing[0].contains("the windows begin 2 s apart"),
        "{joined:#}"
    );
    assert!(
        joined["sentence"]
            .as_str()
            .unwrap()
            .contains("harvester-2 waits for nvme0n1")
    );
}

#[test]
fn several_reports_have_formats_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = well().write(folder.path());
    let said = refused(&["report", &file, &file, "--format", "html"], 2);
    assert!(said.contains("joined as text or json"), "{said}");
    assert!(refused(&["report", "-", "-"], 2).contains("there is one stdin"));
    let twice = agent(&["report", &file, &file]);
    let text = String::from_utf8(twice.stdout).unwrap();
    assert!(text.contains("it is counted twice"), "{text}");
}
