//! A small machine that reads its disk and says how long that took: what the tests on the real kernel start as a
//! virtual machine of KubeVirt's.
//!
//! The tests get a description of it, as JSON; they add the name, the disk and whatever else makes it one.

use std::ffi::OsStr;
use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::emulators::Emulators;
use super::parts::build;
use crate::lab::cpio::Archive;
use crate::lab::kernel::{self, KERNELS, Kernel};
use crate::lab::{self, modules};
use crate::objcopy::Objcopy;
use crate::workspace::Workspace;

/// Any that boots fast and has its drivers as modules.
const KERNEL: &str = "6.12";
const MODULES: &[&str] = &["virtio_pci", "virtio_blk"];

/// Gets what is missing, and describes the machine: `program`, `arguments`, `environment`, `kernel`, `initramfs`.
pub(crate) fn describe(workspace: &Workspace) -> Result<String> {
    let lab = lab::folder(workspace)?;
    let kernel = KERNELS.iter().find(|kernel| kernel.name == KERNEL);
    let kernel = kernel.context("the kernel is in the list")?;
    let emulators = Emulators::get(&lab, &[*kernel])?;
    let command = emulators.command(kernel.arch);
    let unpacked = kernel.unpacked(&lab, &mut None)?;
    let image = kernel::image(&unpacked).context("the kernel's package has no image")?;
    build(workspace, &[kernel.arch])?;
    let initramfs = lab.join("reader.cpio");
    fs::write(&initramfs, archive(workspace, kernel, &unpacked)?)
        .with_context(|| format!("writing {}", initramfs.display()))?;
    let texts = |words: Vec<&OsStr>| -> Vec<String> {
        let words = words.into_iter().map(|word| word.to_string_lossy());
        words.map(std::borrow::Cow::into_owned).collect()
    };
    let environment = command.get_envs();
    let environment = environment.filter_map(|(name, value)| {
        let name = name.to_string_lossy().into_owned();
        Some((name, Value::from(value?.to_string_lossy())))
    });
    let description = json!({
        "program": command.get_program().to_string_lossy(),
        "arguments": texts(command.get_args().collect()),
        "environment": environment.collect::<serde_json::Map<_, _>>(),
        "kernel": image,
        "initramfs": initramfs,
    });
    Ok(description.to_string())
}

fn archive(workspace: &Workspace, kernel: &Kernel, unpacked: &std::path::Path) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    for folder in ["dev", "modules", "proc", "run", "sys", "tmp"] {
        archive.directory(folder);
    }
    let program = workspace.built_for(kernel.arch.target()).join("guest");
    archive.file("/reader", &Objcopy::find()?.stripped(&program)?);
    let mut list = String::new();
    for (name, contents) in modules::in_order(unpacked, MODULES)? {
        let path = format!("/modules/{name}.ko");
        archive.file(&path, &contents);
        list.push_str(&format!("{path}\n"));
    }
    archive.file("/modules.list", list.as_bytes());
    Ok(archive.finish())
}
