//! What of the machine's names may become part of a command: names that are nothing but plain characters, which no
//! shell reads as anything else, and nothing that could be taken for an option.

use std::net::{IpAddr, SocketAddr};

/// File names have at most 255 bytes, and so do names of Kubernetes.
const LONGEST_WORD: usize = 255;
/// `PATH_MAX` of Linux.
const LONGEST_PATH: usize = 4096;

/// Names of units, devices, pods and volumes.
pub(super) fn word(name: &str) -> Option<&str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-@:".contains(c);
    let fits = !name.is_empty() && name.len() <= LONGEST_WORD && !name.starts_with(['-', '.']);
    (fits && name.chars().all(is_plain)).then_some(name)
}

/// Absolute paths.
pub(super) fn path(path: &str) -> Option<&str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-@:/+".contains(c);
    let climbs = path.split('/').any(|part| part == "..");
    let fits = path.starts_with('/') && path.len() <= LONGEST_PATH && !climbs;
    (fits && path.chars().all(is_plain)).then_some(path)
}

/// The address in `tcp://10.52.1.44:10010`.
pub(super) fn address(of: &str) -> Option<IpAddr> {
    let rest = of.rsplit_once("//").map_or(of, |(_, rest)| rest);
    let with_port = rest.parse::<SocketAddr>().map(|address| address.ip());
    with_port.or_else(|_| rest.parse::<IpAddr>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_a_shell_would_read_is_none() {
        for name in ["fstrim.service", "a@b", "pvc-7a5a1b52", "sda:1"] {
            assert_eq!(word(name), Some(name));
        }
        for name in [
            "", "-rf", ".", "a b", "a;b", "$(a)", "a\nb", "a'b", "\u{e4}", "a/b", "a\\x2db",
        ] {
            assert_eq!(word(name), None, "{name:?}");
            assert_eq!(path(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_path_leads_down() {
        assert_eq!(path("/var/lib/a-b_c"), Some("/var/lib/a-b_c"));
        for bad in ["/a/../b", "/a b", "/a*", "a/b", "/a'"] {
            assert_eq!(path(bad), None, "{bad}");
        }
    }

    #[test]
    fn an_address_is_one() {
        let is = |text: &str| address(text).map(|ip| ip.to_string());
        assert_eq!(is("tcp://10.52.1.44:10010").as_deref(), Some("10.52.1.44"));
        assert_eq!(is("tcp://[fd00::1]:10010").as_deref(), Some("fd00::1"));
        assert_eq!(is("10.0.0.1").as_deref(), Some("10.0.0.1"));
        assert_eq!(is("unix:///var/run/x.sock"), None);
        assert_eq!(is("tcp://a;b:1"), None);
    }
}
