//! Addresses of a process's network namespace, by `/proc/<pid>/net`: those of all its interfaces, as a pod may have
//! more than the one that kubelet writes into its hosts file (Longhorn's storage network is a second one).
//!
//! Sources: the local routes of `fib_trie` (net/ipv4/fib_trie.c), and `if_inet6` (net/ipv6/addrconf.c).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::HostRoot;

/// A node's own has a few hundred KiB, with thousands of routes; a pod's some KiB.
const MAX_TABLE: u64 = 256 << 10;
/// Kept of each kind.
const MAX_ADDRESSES: usize = 64;
/// `IFA_GLOBAL`: neither of the link nor of the host alone.
const GLOBAL: &str = "00";

/// Addresses that others reach the process's namespace by, IPv4 first.
#[must_use]
pub fn addresses(root: &HostRoot, pid: u32) -> Vec<String> {
    let table = |name: &str| {
        let table = root.text(format!("proc/{pid}/net/{name}"), MAX_TABLE);
        table.unwrap_or_default()
    };
    let mut found = ipv4(&table("fib_trie"));
    found.extend(ipv6(&table("if_inet6")));
    found
}

/// An address stands on a line of its own, and what it is on the next: `/32 host LOCAL`.
pub fn ipv4(trie: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut last: Option<Ipv4Addr> = None;
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL" {
            let address = last.filter(|address| !address.is_loopback());
            let new = address.map(|address| address.to_string());
            found.extend(new.filter(|new| !found.contains(new)));
        }
        if found.len() == MAX_ADDRESSES {
            break;
        }
    }
    found
}

/// `<32 hexadecimal digits> <index> <prefix> <scope> <flags> <interface>`
pub fn ipv6(table: &str) -> Vec<String> {
    let addresses = table.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?;
        let scope = fields.nth(2)?;
        (scope == GLOBAL).then(|| Ipv6Addr::from(address).to_string())
    });
    addresses.take(MAX_ADDRESSES).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn reads_the_namespace_of_this_very_process() {
        let found = addresses(&HostRoot::default(), std::process::id());
        let plain = |address: &String| address.parse::<std::net::IpAddr>().is_ok();
        assert!(found.iter().all(plain), "{found:?}");
    }

    #[test]
    fn keeps_a_bounded_number_and_each_once() {
        let fixture = Fixture::new();
        let route = |n: u32| format!("  |-- 10.0.{}.{}\n     /32 host LOCAL\n", n / 256, n % 256);
        let trie: String = (0..500).flat_map(|n| [route(n), route(n)]).collect();
        fixture.file("proc/7/net/fib_trie", trie);
        let found = addresses(&fixture.root(), 7);
        assert_eq!(found.len(), MAX_ADDRESSES);
        assert_eq!(found[1], "10.0.0.1");
        assert!(addresses(&fixture.root(), 8).is_empty());
    }

    proptest! {
        #[test]
        fn any_table_is_read(text in "( *\\|-- [0-9.]{0,15}\n|/32 host LOCAL\n|[0-9a-f]{30,34} 0[0-9] 40 00 80 x\n|.{0,40})*") {
            prop_assert!(ipv4(&text).len() <= MAX_ADDRESSES);
            prop_assert!(ipv6(&text).len() <= MAX_ADDRESSES);
        }
    }
}
