//! A volume's replicas: those on this host, and where its controller reaches all of them.

use std::net::IpAddr;

use super::Join;
use stall_capture::command::{self, Command, Engine};
use stall_capture::{Process, ReplicaDirectory};
use stall_report::model::{ReplicaAddress, VmReplica};

impl Join<'_> {
    /// Replicas of a volume whose processes are here.
    pub(super) fn replicas(&self, volume: &str) -> Vec<VmReplica> {
        let replicas = self
            .processes
            .iter()
            .filter_map(|process| match command::read(process)? {
                Command::Replica(replica) if replica.volume.as_deref() == Some(volume) => {
                    Some(self.replica(process, replica.directory))
                }
                _ => None,
            });
        replicas.collect()
    }

    fn replica(&self, process: &Process, directory: Option<String>) -> VmReplica {
        let place = process.replica.as_ref();
        let meta = place.and_then(|place| place.meta.as_ref());
        let (device, mount_point) = place
            .and_then(|place| self.place(place))
            .map_or((None, None), |(device, mount)| (Some(device), mount));
        VmReplica {
            pid: process.pid,
            actor: self.names.actor_of(process),
            directory,
            device,
            mount_point,
            rebuilding: meta.and_then(|meta| meta.rebuilding),
            error: meta.and_then(|meta| meta.error.clone()),
        }
    }

    /// Name of the partition or disk that holds a directory, and where it is mounted.
    fn place(&self, directory: &ReplicaDirectory) -> Option<(String, Option<String>)> {
        let number = (directory.major?, directory.minor?);
        let disk = &self.capture.disks[*self.rows.get(&number)?];
        let facts = disk.facts.as_ref();
        let mut partitions = facts.into_iter().flat_map(|facts| &facts.partitions);
        let (name, mounts) = match partitions.find(|one| (one.major, one.minor) == number) {
            Some(partition) => (&partition.name, Some(&partition.mounts)),
            None => (&disk.name, facts.map(|facts| &facts.mounts)),
        };
        // The innermost mount the path lies in.
        let mounts = mounts.into_iter().flatten().map(|mount| &mount.mount_point);
        let holds = mounts.filter(|mount| is_below(&directory.path, mount));
        let mount = holds.max_by_key(|mount| mount.len());
        Some((name.clone(), mount.cloned()))
    }

    /// Local when the address is one of the controller's own pod: an instance manager runs all of a host's replicas.
    pub(super) fn addresses(&self, process: &Process, engine: &Engine) -> Vec<ReplicaAddress> {
        let own = process.pod.as_ref().map(|pod| &pod.addresses);
        let replicas = engine.replicas.iter().map(|address| ReplicaAddress {
            address: address.clone(),
            local: is_local(address, own.map_or(&[], Vec::as_slice)),
        });
        replicas.collect()
    }
}

fn is_below(path: &str, mount: &str) -> bool {
    let rest = path.strip_prefix(mount.trim_end_matches('/'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Not known without addresses to compare with, and for a name. A socket is on this host.
fn is_local(address: &str, own: &[String]) -> Option<bool> {
    if address.starts_with("unix:") {
        return Some(true);
    }
    let host: IpAddr = host_of(address)?.parse().ok()?;
    let mut addresses = own.iter().filter_map(|own| own.parse::<IpAddr>().ok());
    (!own.is_empty()).then(|| addresses.any(|own| own == host))
}

/// `tcp://10.52.0.9:10000`, `tcp://[fd00::1]:10000`
fn host_of(address: &str) -> Option<&str> {
    let place = address.strip_prefix("tcp://").unwrap_or(address);
    let (host, _port) = place.rsplit_once(':')?;
    Some(host.trim_matches(['[', ']']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_here_when_it_is_one_of_the_pods() {
        let own = ["10.52.0.9".to_owned(), "fd00::9".to_owned()];
        let cases = [
            ("tcp://10.52.0.9:10000", Some(true)),
            ("10.52.0.9:10000", Some(true)),
            ("tcp://[fd00:0:0::9]:10000", Some(true)),
            ("tcp://10.52.0.90:10000", Some(false)),
            ("unix:///x.sock", Some(true)),
            ("tcp://replica-1:10000", None),
            ("", None),
        ];
        for (address, local) in cases {
            assert_eq!(is_local(address, &own), local, "{address}");
        }
        assert_eq!(is_local("tcp://10.52.0.9:10000", &[]), None);
    }
}
