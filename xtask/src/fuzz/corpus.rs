//! The inputs that are committed: seeds, which somebody named, and the smallest of those that were found.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Of found inputs, for each target.
const MOST: usize = 60;
const MOST_BYTES: u64 = 64 << 10;

/// Puts the smallest inputs of `minimal` in the place of those that were found before; how many there are.
pub(super) fn replace(committed: &Path, minimal: &Path) -> Result<usize> {
    for path in files(committed)? {
        if is_found(&path) {
            fs::remove_file(path)?;
        }
    }
    let chosen = smallest(files(minimal)?)?;
    for path in &chosen {
        let name = path.file_name().context("a file has a name")?;
        fs::copy(path, committed.join(name))?;
    }
    Ok(chosen.len())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("listing {}", folder.display()))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    paths.collect()
}

/// The path of a file in a folder, with what libFuzzer calls an input: a hash.
fn is_found(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.len() == 40 && name.iter().all(u8::is_ascii_hexdigit)
}

/// A seed is in `minimal` as well, under the hash of what is in it, and costs its bytes twice at worst.
fn smallest(files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let sized = files
        .into_iter()
        .map(|path| Ok((path.metadata()?.len(), path)));
    let mut sized: Vec<(u64, PathBuf)> = sized.collect::<Result<_>>()?;
    sized.sort();
    let mut left = MOST_BYTES;
    let fits = |(bytes, _): &(u64, PathBuf)| {
        let rest = left.checked_sub(*bytes);
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    let fitting = sized.into_iter().take(MOST).take_while(fits);
    Ok(fitting.map(|(_, path)| path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_stay_and_the_smallest_are_taken() {
        let folder = std::env::temp_dir().join(format!("stall-corpus-{}", std::process::id()));
        let (committed, minimal) = (folder.join("committed"), folder.join("minimal"));
        for folder in [&committed, &minimal] {
            fs::create_dir_all(folder).expect("there is room");
        }
        let put = |path: PathBuf, bytes: usize| fs::write(path, vec![0; bytes]).expect("room");
        put(committed.join("seed"), 1);
        put(committed.join("0".repeat(40)), 1);
        for bytes in 1..=100 {
            put(minimal.join(format!("{bytes:040x}")), bytes * 20);
        }
        let kept = replace(&committed, &minimal).expect("it can be replaced");
        let there = files(&committed).expect("it is there");
        fs::remove_dir_all(&folder).expect("it is ours");
        assert_eq!((kept, there.len()), (MOST, MOST + 1));
        assert!(there.iter().any(|path| path.ends_with("seed")));
        assert!(
            there
                .iter()
                .any(|path| path.ends_with(format!("{:040x}", 1)))
        );
    }
}
