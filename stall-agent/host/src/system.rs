//! The machine: kernel, name, operating system, size and load.

use super::HostRoot;
use stall_capture::Host;

const MAX_TEXT: u64 = 65_536;

/// Reads all of it; the load is that of now.
#[must_use]
pub fn host(root: &HostRoot) -> Host {
    Host {
        hostname: hostname(root),
        kernel_release: kernel(root, "osrelease"),
        kernel_version: kernel(root, "version"),
        machine: machine(root),
        os: os(root),
        boot_id: root.value("proc/sys/kernel/random/boot_id"),
        cpus: cpus(root),
        memory_bytes: memory(root),
        load: load(root),
    }
}

/// Load averages over 1, 5 and 15 minutes.
#[must_use]
pub fn load(root: &HostRoot) -> Option<[f64; 3]> {
    let text = root.value("proc/loadavg")?;
    let mut numbers = text.split(' ').map(|word| word.parse::<f64>().ok());
    let mut next = || numbers.next()?.filter(|load| load.is_finite());
    Some([next()?, next()?, next()?])
}

/// `/proc/sys/kernel/hostname` is that of the reader's own namespace: from a container, the host's
/// is what its file says.
fn hostname(root: &HostRoot) -> Option<String> {
    let running = || root.value("proc/sys/kernel/hostname");
    let configured = || root.value("etc/hostname");
    if root.is_own() {
        running().or_else(configured)
    } else {
        configured().or_else(running)
    }
}

fn kernel(root: &HostRoot, name: &str) -> String {
    let value = root.value(format!("proc/sys/kernel/{name}"));
    value.unwrap_or_default()
}

/// The file is there since 6.1; this program runs on no other machine than it is built for.
fn machine(root: &HostRoot) -> String {
    let machine = root.value("proc/sys/kernel/arch");
    machine.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}

fn os(root: &HostRoot) -> Option<String> {
    let files = ["etc/os-release", "usr/lib/os-release"];
    let text = files.iter().find_map(|file| root.text(file, MAX_TEXT))?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(unquote(value.trim()))
}

/// os-release(5): values are quoted as in a shell.
pub fn unquote(value: &str) -> String {
    let inner = ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    match inner {
        Some(inner) if value.starts_with('"') => unescape(inner),
        Some(inner) => inner.to_owned(),
        None => value.to_owned(),
    }
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        let escaped = (character == '\\').then(|| characters.next()).flatten();
        plain.push(escaped.unwrap_or(character));
    }
    plain
}

/// CPUs online.
fn cpus(root: &HostRoot) -> u32 {
    let list = root.value("sys/devices/system/cpu/online");
    list.map_or(0, |list| list.split(',').map(range_length).sum())
}

/// `4` is one, `0-3` are four.
fn range_length(range: &str) -> u32 {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let length = |first: u32, last: u32| last.checked_sub(first)?.checked_add(1);
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) => length(first, last).unwrap_or(0),
        _ => 0,
    }
}

fn memory(root: &HostRoot) -> Option<u64> {
    let text = root.text("proc/meminfo", MAX_TEXT)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    fn node() -> Fixture {
        let fixture = Fixture::new();
        fixture.files(
            "proc",
            "sys/kernel/osrelease=6.4.0-35-default
             sys/kernel/version=#1 SMP PREEMPT_DYNAMIC
             sys/kernel/hostname=debugger-7x2
             sys/kernel/random/boot_id=11111111-2222-3333-4444-555555555555
             loadavg=46.01 47.30 49.00 3/4021 99123
             meminfo=MemTotal:       131072 kB",
        );
        fixture
            .file("etc/hostname", "altra\n")
            .file(
                "etc/os-release",
                "NAME=\"SLES\"\nPRETTY_NAME=\"Harvester v1.7.0\"\n",
            )
            .file("sys/devices/system/cpu/online", "0-3,8\n");
        fixture
    }

    #[test]
    fn describes_a_node_seen_from_a_container() {
        let host = host(&node().root());
        assert_eq!(host.hostname.as_deref(), Some("altra"));
        assert_eq!(host.kernel_release, "6.4.0-35-default");
        assert_eq!(host.os.as_deref(), Some("Harvester v1.7.0"));
        assert_eq!(host.cpus, 5);
        assert_eq!(host.memory_bytes, Some(134_217_728));
        assert_eq!(host.load, Some([46.01, 47.3, 49.0]));
        assert!(!host.machine.is_empty());
    }

    #[test]
    fn what_is_not_there_is_not_known() {
        let host = host(&Fixture::new().root());
        assert_eq!(host.os, None);
        assert_eq!(host.memory_bytes, None);
        assert_eq!(host.load, None);
        assert_eq!(host.cpus, 0);
    }

    #[test]
    fn undoes_the_quotes_of_a_shell() {
        assert_eq!(unquote("\"a \\\"b\\\" \\$c\""), "a \"b\" $c");
        assert_eq!(unquote("'a \\b'"), "a \\b");
        assert_eq!(unquote("plain"), "plain");
        assert_eq!(unquote("\"open"), "\"open");
    }

    #[test]
    fn nonsense_counts_no_cpu() {
        assert_eq!(range_length("3-1"), 0);
        assert_eq!(range_length("x"), 0);
        assert_eq!(range_length("0-4294967295"), 0);
    }

    #[test]
    fn describes_this_very_machine() {
        let host = host(&HostRoot::default());
        assert!(!host.kernel_release.is_empty());
        assert!(host.cpus > 0);
        assert!(host.load.is_some());
    }
}
