//! What pods and containers are called, without an API server: from files that kubelet and containerd keep.
//!
//! Sources, in this order: `/var/log/pods/<namespace>_<pod>_<uid>/` (kubelet), `/var/log/containers/
//! <pod>_<namespace>_<container>-<id>.log` (kubelet), and the annotations `io.kubernetes.cri.*` in the container's
//! `config.json` below containerd's runtime directory. Nothing is inferred from a host name. The two directories are
//! listed at most once a second, since a pod may come while the trace runs; everything read is bounded, and only what is in
//! memory: the disk it lies on may be the one that hangs.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::HostRoot;
use super::container::{Place, is_container_id, is_uid};
use stall_capture::Pod;

/// containerd's `state` directory, as RKE2/k3s and as a plain installation have it.
const RUNTIMES: [&str; 2] = ["run/k3s/containerd", "run/containerd"];
/// An OCI `config.json` has some 50 KiB.
const MAX_CONFIG: u64 = 1 << 20;
const MAX_HOSTS: u64 = 64 << 10;
/// First line of the hosts file of a pod that has a network of its own (`managedHostsHeader` of kubelet).
const POD_NETWORK: &str = "# Kubernetes-managed hosts file.\n";
/// kubelet runs 110 at most, unless told otherwise.
const MOST_PODS: usize = 1024;
const STALE: Duration = Duration::from_secs(1);
/// Kubernetes names are DNS labels or subdomains: 253 characters at most.
const MAX_NAME: usize = 253;

/// Names of pods, as last listed.
pub struct Pods {
    root: HostRoot,
    listed: Option<Instant>,
    by_uid: HashMap<String, (String, String)>,
    containers: HashMap<String, Container>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    namespace: String,
    pod: String,
    name: String,
}

impl Pods {
    /// Nothing is read until somebody asks.
    #[must_use]
    pub fn new(root: HostRoot) -> Self {
        Self {
            root,
            listed: None,
            by_uid: HashMap::new(),
            containers: HashMap::new(),
        }
    }

    /// Looks at all of it, so that it is in memory.
    pub fn look(&mut self) {
        self.list_again();
        for uid in self.by_uid.keys().take(MOST_PODS) {
            let _addresses = self.addresses(uid);
        }
    }

    /// The pod of a place; `None` when it is in none. Names that no file tells are `None` in it.
    pub fn pod(&mut self, place: &Place) -> Option<Pod> {
        if place.pod_uid.is_none() && place.container_id.is_none() {
            return None;
        }
        let known = self.known(place);
        if is_complete(&known, place) || !self.list_again() {
            return Some(self.complete(known, place));
        }
        let known = self.known(place);
        Some(self.complete(known, place))
    }

    fn known(&self, place: &Place) -> Pod {
        let mut pod = Pod {
            uid: place.pod_uid.clone(),
            container_id: place.container_id.clone(),
            ..Pod::default()
        };
        let by_uid = place.pod_uid.as_ref().and_then(|uid| self.by_uid.get(uid));
        if let Some((namespace, name)) = by_uid {
            pod.namespace = Some(namespace.clone());
            pod.name = Some(name.clone());
        }
        let id = place.container_id.as_ref();
        if let Some(container) = id.and_then(|id| self.containers.get(id)) {
            add(&mut pod, container);
        }
        pod
    }

    /// What is still missing may be in the container's own configuration.
    fn complete(&self, mut pod: Pod, place: &Place) -> Pod {
        if let Some(uid) = &pod.uid {
            pod.addresses = self.addresses(uid);
        }
        let missing = pod.name.is_none() || pod.container.is_none();
        let id = place.container_id.as_ref().filter(|_| missing);
        if let Some(config) = id.and_then(|id| self.configuration(id)) {
            add_annotations(&mut pod, &config);
        }
        pod
    }

    /// From the hosts file kubelet writes for a pod: the pod's own line comes after those every pod has, and before
    /// the aliases it asked for. Of a pod on the host's network it is a copy of the host's file, and says nothing.
    fn addresses(&self, uid: &str) -> Vec<String> {
        let text = self
            .root
            .cached_text(format!("var/lib/kubelet/pods/{uid}/etc-hosts"), MAX_HOSTS);
        addresses(&text.unwrap_or_default())
    }

    fn configuration(&self, id: &str) -> Option<Value> {
        let runtimes = RUNTIMES.iter();
        let mut paths = runtimes
            .map(|at| format!("{at}/io.containerd.runtime.v2.task/k8s.io/{id}/config.json"));
        paths.find_map(|path| {
            let text = self.root.bytes_within(path, MAX_CONFIG).ok()?;
            serde_json::from_slice(&text).ok()
        })
    }

    /// False when the lists are young.
    fn list_again(&mut self) -> bool {
        if self.listed.is_some_and(|listed| listed.elapsed() < STALE) {
            return false;
        }
        let pods = self.root.cached_names("var/log/pods");
        self.by_uid = pods.iter().filter_map(|name| pod_directory(name)).collect();
        let logs = self.root.cached_names("var/log/containers");
        self.containers = logs.iter().filter_map(|name| container_log(name)).collect();
        self.listed = Some(Instant::now());
        true
    }
}

fn is_complete(pod: &Pod, place: &Place) -> bool {
    pod.name.is_some() && (pod.container.is_some() || place.container_id.is_none())
}

fn add(pod: &mut Pod, container: &Container) {
    pod.namespace
        .get_or_insert_with(|| container.namespace.clone());
    pod.name.get_or_insert_with(|| container.pod.clone());
    pod.container.get_or_insert_with(|| container.name.clone());
}

/// containerd `pkg/cri/annotations`: the sandbox is the pod.
fn add_annotations(pod: &mut Pod, config: &Value) {
    let annotation = |name: &str| {
        let value = config["annotations"][format!("io.kubernetes.cri.{name}")].as_str()?;
        (is_name(value) || is_uid(value)).then(|| value.to_owned())
    };
    pod.namespace = pod
        .namespace
        .take()
        .or_else(|| annotation("sandbox-namespace"));
    pod.name = pod.name.take().or_else(|| annotation("sandbox-name"));
    pod.uid = pod.uid.take().or_else(|| annotation("sandbox-uid"));
    pod.container = pod
        .container
        .take()
        .or_else(|| annotation("container-name"));
}

pub fn addresses(hosts: &str) -> Vec<String> {
    let Some(hosts) = hosts.strip_prefix(POD_NETWORK) else {
        return Vec::new();
    };
    let lines = hosts
        .lines()
        .take_while(|line| !line.contains("HostAliases"));
    let words = lines.filter_map(|line| line.split_ascii_whitespace().next());
    let own = words.filter(|word| {
        let address = word.parse::<IpAddr>();
        address.is_ok_and(|address| !address.is_loopback() && !is_of_all(address))
    });
    own.map(str::to_owned).collect()
}

/// `fe00::0`, `ff00::0`, `ff02::1` stand in every pod's file.
fn is_of_all(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.is_unspecified(),
        IpAddr::V6(address) => address.segments()[0] >= 0xfe00,
    }
}

/// `<namespace>_<pod>_<uid>`; Kubernetes allows no underscore in any of the three.
pub fn pod_directory(name: &str) -> Option<(String, (String, String))> {
    let mut parts = name.split('_');
    let (namespace, pod, uid) = (parts.next()?, parts.next()?, parts.next()?);
    let plausible = parts.next().is_none() && is_name(namespace) && is_name(pod) && is_uid(uid);
    plausible.then(|| (uid.to_owned(), (namespace.to_owned(), pod.to_owned())))
}

/// `<pod>_<namespace>_<container>-<id>.log`
pub fn container_log(name: &str) -> Option<(String, Container)> {
    let (container, id) = name.strip_suffix(".log")?.rsplit_once('-')?;
    let mut parts = container.split('_');
    let (pod, namespace, container) = (parts.next()?, parts.next()?, parts.next()?);
    let names = [pod, namespace, container];
    let plausible = parts.next().is_none() && names.into_iter().all(is_name) && is_container_id(id);
    plausible.then(|| {
        let container = Container {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            name: container.to_owned(),
        };
        (id.to_owned(), container)
    })
}

/// RFC 1123: what is not one was not made by kubelet.
fn is_name(text: &str) -> bool {
    let plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    let ends = [text.bytes().next(), text.bytes().next_back()];
    let whole = ends
        .iter()
        .all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric()));
    whole && text.len() <= MAX_NAME && text.bytes().all(plain)
}

#[cfg(test)]
#[path = "pods_tests.rs"]
mod tests;
