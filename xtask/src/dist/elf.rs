//! Whether an ELF file (64-bit, little-endian) runs by itself: no interpreter, no needed library.

use anyhow::{Context as _, Result, bail, ensure};

/// Program headers and dynamic entries by number (elf(5)).
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_NEEDED: u64 = 1;

/// Fails unless `bytes` are such a file for `machine`.
pub(super) fn check_static(bytes: &[u8], machine: u16) -> Result<()> {
    ensure!(
        bytes.starts_with(b"\x7fELF\x02\x01"),
        "not a 64-bit little-endian ELF file"
    );
    let found = number(bytes, 18, 2)?;
    ensure!(
        found == u64::from(machine),
        "built for machine {found}, not {machine}"
    );
    let (start, size) = (number(bytes, 32, 8)?, number(bytes, 54, 2)?);
    for index in 0..number(bytes, 56, 2)? {
        check_segment(bytes, (start + index * size) as usize)?;
    }
    Ok(())
}

fn check_segment(bytes: &[u8], header: usize) -> Result<()> {
    match number(bytes, header, 4)? as u32 {
        PT_INTERP => bail!("it asks for an interpreter"),
        PT_DYNAMIC => {
            let start = number(bytes, header + 8, 8)? as usize;
            let len = number(bytes, header + 32, 8)? as usize;
            let dynamic = bytes.get(start..start.saturating_add(len));
            check_dynamic(dynamic.context("cut short")?)
        }
        _ => Ok(()),
    }
}

fn check_dynamic(entries: &[u8]) -> Result<()> {
    for entry in entries.chunks_exact(16) {
        ensure!(number(entry, 0, 8)? != DT_NEEDED, "it asks for a library");
    }
    Ok(())
}

fn number(bytes: &[u8], at: usize, len: usize) -> Result<u64> {
    let part = bytes.get(at..at.saturating_add(len)).context("cut short")?;
    Ok(part
        .iter()
        .rev()
        .fold(0, |n, byte| n << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header and one segment of a kind, with one dynamic entry behind it.
    fn file(segment: u32, tag: u64) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56 + 16];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18] = 62;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64..68].copy_from_slice(&segment.to_le_bytes());
        bytes[64 + 8] = 120;
        bytes[64 + 32] = 16;
        bytes[120..128].copy_from_slice(&tag.to_le_bytes());
        bytes
    }

    #[test]
    fn what_asks_for_nothing_is_static() {
        assert!(check_static(&file(1, 0), 62).is_ok());
        assert!(check_static(&file(PT_DYNAMIC, 30), 62).is_ok());
    }

    #[test]
    fn interpreters_libraries_and_other_machines_are_refused() {
        assert!(check_static(&file(PT_INTERP, 0), 62).is_err());
        assert!(check_static(&file(PT_DYNAMIC, DT_NEEDED), 62).is_err());
        assert!(check_static(&file(1, 0), 183).is_err());
        assert!(check_static(&file(PT_DYNAMIC, 0)[..100], 62).is_err());
    }

    #[test]
    fn this_very_program_is_not_static() {
        let own = std::env::current_exe().and_then(std::fs::read).unwrap();
        let found = number(&own, 18, 2).unwrap() as u16;
        if cfg!(all(target_env = "gnu", not(target_feature = "crt-static"))) {
            assert!(check_static(&own, found).is_err());
        }
    }
}
