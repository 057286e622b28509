//! What `/oem` has: the cloud-init files that Elemental, and so Harvester, applies at each boot, in the order of their
//! names. A change below `/etc` that is to survive a boot is repeated in one of them.
//!
//! `/oem` is a partition, often of the disk that hangs: only what is in memory is read.

use super::HostRoot;
use stall_capture::OemFile;

const MAX_FILES: usize = 64;
const MAX_FILE: u64 = 256 << 10;
const WORD: &[u8] = b"fstrim";

/// Its YAML files by name; `None` when there is no `/oem`.
#[must_use]
pub fn look(root: &HostRoot) -> Option<Vec<OemFile>> {
    if !root.cached_is_there("oem") {
        return None;
    }
    let mut names = root.cached_names("oem");
    names.retain(|name| name.ends_with(".yaml") || name.ends_with(".yml"));
    names.sort_unstable();
    names.truncate(MAX_FILES);
    let files = names.into_iter().map(|name| OemFile {
        mentions_fstrim: mentions(root, &name),
        name,
    });
    Some(files.collect())
}

fn mentions(root: &HostRoot, name: &str) -> Option<bool> {
    let content = root.cached_within(format!("oem/{name}"), MAX_FILE).ok()?;
    Some(content.windows(WORD.len()).any(|part| part == WORD))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Fixture;
    use super::*;

    #[test]
    fn tells_which_file_speaks_of_the_trim() {
        let fixture = Fixture::new();
        assert_eq!(look(&fixture.root()), None);
        fixture
            .file(
                "oem/99_fstrim.yaml",
                "stages: {initramfs: [{systemctl: {mask: [fstrim.timer]}}]}",
            )
            .file("oem/90_custom.yaml", "name: custom")
            .file("oem/grubenv", "fstrim")
            .directory("oem/odd.yaml");
        let found = look(&fixture.root()).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|file| (file.name.as_str(), file.mentions_fstrim))
            .collect();
        let expected = [
            ("90_custom.yaml", Some(false)),
            ("99_fstrim.yaml", Some(true)),
            ("odd.yaml", None),
        ];
        assert_eq!(found, expected);
    }
}
