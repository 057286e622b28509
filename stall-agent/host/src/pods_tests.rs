//! Pods from each source, and hostile entries.

use proptest::prelude::*;

use super::super::fixture::Fixture;
use super::*;

const UID: &str = "0f3a1b52-99aa-4c1d-8c1e-5d2b6a7f9e10";
const ID: &str = "5f2b1c0d9e8f7a6b5c4d3e2f1a0b9c8d7e6f5a4b3c2d1e0f9a8b7c6d5e4f3a2b";

fn place() -> Place {
    Place {
        pod_uid: Some(UID.to_owned()),
        container_id: Some(ID.to_owned()),
    }
}

fn pod_of(fixture: &Fixture) -> Pod {
    Pods::new(fixture.root()).pod(&place()).unwrap()
}

fn config() -> String {
    serde_json::json!({ "annotations": {
        "io.kubernetes.cri.sandbox-name": "instance-manager-ab12",
        "io.kubernetes.cri.sandbox-namespace": "longhorn-system",
        "io.kubernetes.cri.sandbox-uid": UID,
        "io.kubernetes.cri.container-name": "instance-manager",
    }})
    .to_string()
}

#[test]
fn kubelets_logs_name_pod_and_container() {
    let fixture = Fixture::new();
    fixture
        .directory(&format!(
            "var/log/pods/default_virt-launcher-kube-master-01-x7k2p_{UID}/compute"
        ))
        .link(
            &format!(
                "var/log/containers/virt-launcher-kube-master-01-x7k2p_default_compute-{ID}.log"
            ),
            "/nowhere",
        );
    let pod = pod_of(&fixture);
    assert_eq!(pod.namespace.as_deref(), Some("default"));
    assert_eq!(
        pod.name.as_deref(),
        Some("virt-launcher-kube-master-01-x7k2p")
    );
    assert_eq!(pod.container.as_deref(), Some("compute"));
    assert_eq!(pod.uid.as_deref(), Some(UID));
}

#[test]
fn containerds_runtime_directory_names_both_where_there_are_no_logs() {
    for runtime in RUNTIMES {
        let fixture = Fixture::new();
        let path = format!("{runtime}/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
        fixture.file(&path, config());
        let pod = pod_of(&fixture);
        assert_eq!(pod.name.as_deref(), Some("instance-manager-ab12"));
        assert_eq!(pod.container.as_deref(), Some("instance-manager"));
    }
}

#[test]
fn a_pod_whose_directory_is_gone_keeps_its_uid_only() {
    let pod = pod_of(&Fixture::new());
    assert_eq!(pod.uid.as_deref(), Some(UID));
    assert_eq!((pod.name, pod.namespace, pod.container), (None, None, None));
}

#[test]
fn a_pod_that_comes_later_is_found_when_the_list_is_old() {
    let fixture = Fixture::new();
    let mut pods = Pods::new(fixture.root());
    assert_eq!(pods.pod(&place()).unwrap().name, None);
    fixture.directory(&format!("var/log/pods/default_late_{UID}"));
    assert_eq!(pods.pod(&place()).unwrap().name, None, "within the second");
    pods.listed = Instant::now().checked_sub(STALE);
    assert_eq!(pods.pod(&place()).unwrap().name.as_deref(), Some("late"));
}

#[test]
fn kubelets_hosts_file_tells_a_pods_address() {
    let fixture = Fixture::new();
    fixture.file(
        &format!("var/lib/kubelet/pods/{UID}/etc-hosts"),
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost\nfe00::0\tip6-localnet\n\
         ff02::1\tip6-allnodes\n10.52.0.9\tinstance-manager-1\n\n# Entries added by HostAliases.\n10.9.9.9\tx\n",
    );
    assert_eq!(pod_of(&fixture).addresses, ["10.52.0.9"]);
}

#[test]
fn who_is_in_no_pod_has_none() {
    let pod = Pods::new(Fixture::new().root()).pod(&Place::default());
    assert_eq!(pod, None);
}

#[test]
fn a_hostile_configuration_is_only_not_there() {
    let path = format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
    for text in [
        "",
        "[]",
        "{\"annotations\":[1]}",
        "\u{0}",
        &"[".repeat(100_000),
    ] {
        let fixture = Fixture::new();
        fixture.file(&path, text);
        assert_eq!(pod_of(&fixture).name, None);
    }
}

#[test]
fn a_name_that_is_none_is_not_taken() {
    for name in ["a\u{1b}[2J", "\",\"verdict\":{", "A B", "../x"] {
        let mut pod = Pod::default();
        let annotations = serde_json::json!({ "annotations": {
            "io.kubernetes.cri.sandbox-name": name,
            "io.kubernetes.cri.container-name": "compute",
        }});
        add_annotations(&mut pod, &annotations);
        assert_eq!(
            (pod.name, pod.container.as_deref()),
            (None, Some("compute"))
        );
    }
}

#[test]
fn a_configuration_of_a_gigabyte_is_not_read() {
    let fixture = Fixture::new();
    let path = format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
    fixture.sparse(&path, 1 << 30);
    assert_eq!(pod_of(&fixture).name, None);
}

#[test]
fn a_configuration_linked_out_of_the_root_is_not_read() {
    let outside = Fixture::new();
    outside.file("config.json", config());
    let fixture = Fixture::new();
    let target = outside.root().path("config.json");
    let path = format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json");
    fixture.link(&path, target.to_str().unwrap());
    assert_eq!(pod_of(&fixture).name, None);
}

#[test]
fn names_kubelet_cannot_have_made_are_passed_over() {
    for name in [
        "default_a\"b",
        "default_a\u{1b}[2J",
        "default_",
        "_a",
        "a_b_c",
        ".._..",
        "default_-a",
    ] {
        assert_eq!(pod_directory(&format!("{name}_{UID}")), None, "{name}");
    }
}

proptest! {
    #[test]
    fn any_name_is_read(name in "[a-z0-9_.-]{0,90}|.{0,120}") {
        let _ = pod_directory(&name);
        let _ = container_log(&name);
    }

    #[test]
    fn any_configuration_is_read(text in ".{0,300}") {
        if let Ok(value) = serde_json::from_str::<Value>(&text) {
            add_annotations(&mut Pod::default(), &value);
        }
    }
}
