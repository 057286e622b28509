//! The manifests for Kubernetes (`deploy/`): what they promise is in them. That they are valid `cargo xtask test` checks.

#![expect(clippy::unwrap_used, reason = "what cannot be had fails the test")]

use std::fs;
use std::path::Path;

use clap::Parser as _;
use serde::Deserialize as _;
use serde_json::{Value, json};
use stall_agent::cli::{Cli, Command};

const MANIFESTS: [&str; 2] = ["one-node", "every-node"];

fn documents(manifest: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../deploy/{manifest}.yaml"));
    let text = fs::read_to_string(path).unwrap();
    let documents = serde_norway::Deserializer::from_str(&text);
    documents
        .map(|document| Value::deserialize(document).unwrap())
        .collect()
}

fn job(manifest: &str) -> Value {
    let mut documents = documents(manifest).into_iter();
    documents.find(|one| one["kind"] == "Job").unwrap()
}

#[test]
fn pods_get_what_tracing_needs_and_nothing_of_the_cluster() {
    for manifest in MANIFESTS {
        let job = job(manifest);
        let pod = &job["spec"]["template"]["spec"];
        let expected = [
            ("hostPID", json!(true)),
            ("automountServiceAccountToken", json!(false)),
            ("restartPolicy", json!("Never")),
            ("tolerations", json!([{ "operator": "Exists" }])),
        ];
        for (field, value) in expected {
            assert_eq!(pod[field], value, "{manifest}: {field}");
        }
        let container = &pod["containers"][0];
        assert_eq!(container["securityContext"]["privileged"], true);
        assert_eq!(container["volumeMounts"][0]["readOnly"], true);
        assert_eq!(container["volumeMounts"][0]["mountPath"], "/host");
        assert_eq!(pod["volumes"][0]["hostPath"]["path"], "/");
        for bound in ["cpu", "memory"] {
            assert!(container["resources"]["limits"][bound].is_string());
        }
        assert!(job["spec"]["ttlSecondsAfterFinished"].is_u64());
    }
}

#[test]
fn the_agent_takes_its_arguments_and_ends_before_the_deadline() {
    for manifest in MANIFESTS {
        let job = job(manifest);
        let arguments = &job["spec"]["template"]["spec"]["containers"][0]["args"];
        let arguments = arguments.as_array().unwrap().iter();
        let typed = ["stall-agent"]
            .into_iter()
            .chain(arguments.map(|argument| argument.as_str().unwrap()));
        let cli = Cli::try_parse_from(typed).unwrap();
        assert!(cli.quiet, "the log is to be the report alone");
        let Some(Command::Trace(trace)) = cli.command else {
            panic!("{manifest} does not trace")
        };
        assert_eq!(trace.host.root, Path::new("/host"));
        let duration = humantime::parse_duration(&trace.duration.unwrap()).unwrap();
        let deadline = job["spec"]["activeDeadlineSeconds"].as_u64().unwrap();
        assert!(duration.as_secs() + 120 < deadline, "{manifest}");
    }
}

#[test]
fn one_is_for_a_node_by_name_and_the_other_for_as_many_as_there_are() {
    let one = job("one-node");
    assert_eq!(one["spec"]["template"]["spec"]["nodeName"], "NODE");
    let every = job("every-node");
    let spec = &every["spec"];
    assert_eq!(spec["completions"], spec["parallelism"]);
    assert_eq!(spec["completionMode"], "Indexed");
    let labels = spec["template"]["metadata"]["labels"].as_object().unwrap();
    let rule = &spec["template"]["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        [0];
    assert_eq!(rule["topologyKey"], "kubernetes.io/hostname");
    for (label, value) in rule["labelSelector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(
            labels.get(label),
            Some(value),
            "pods do not keep each other away"
        );
    }
}

#[test]
fn the_recorder_runs_as_a_unit_and_as_a_daemon_set() {
    let records = |words: &[&str]| {
        let words = ["stall-agent"].iter().chain(words);
        let cli = Cli::try_parse_from(words).unwrap();
        let Some(Command::Record(record)) = cli.command else {
            panic!("it does not record")
        };
        record
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/stall-agent-record.service");
    let unit = fs::read_to_string(path).unwrap();
    let value = |name: &str| {
        unit.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    let start = value("ExecStart").unwrap();
    let words: Vec<&str> = start.split_whitespace().skip(1).collect();
    let record = records(&words);
    let runtime = Path::new("/run").join(value("RuntimeDirectory").unwrap());
    assert!(
        record.directory.path.starts_with(runtime),
        "incidents would go with the unit"
    );
    assert_eq!(value("Type"), Some("notify"));
    let bounded: Vec<&str> = value("CapabilityBoundingSet").unwrap().split(' ').collect();
    let used = stall_agent::confine::capability::USED
        .iter()
        .map(|it| it.name);
    assert!(used.clone().all(|name| bounded.contains(&name)) && used.count() == bounded.len());
    let mut documents = documents("recorder").into_iter();
    let set = documents.find(|one| one["kind"] == "DaemonSet").unwrap();
    let pod = &set["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let words = container["args"].as_array().unwrap();
    let words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
    let record = records(&words);
    assert_eq!(record.host.root, Path::new("/host"));
    let is_below = |mount: &Value| {
        record
            .directory
            .path
            .starts_with(mount["mountPath"].as_str().unwrap())
    };
    let mounts = container["volumeMounts"].as_array().unwrap();
    let mounted = mounts.iter().find(|mount| is_below(mount)).unwrap();
    assert_ne!(mounted["readOnly"], true, "incidents cannot be written");
    assert_eq!(pod["hostPID"], true);
    assert_eq!(pod["automountServiceAccountToken"], false);
}
