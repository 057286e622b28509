//! Where and when it was measured.

use std::fs;
use std::process::Command;

use nix::sys::utsname::uname;
use serde_json::{Value, json};

use super::device::Device;

pub(super) fn json(device: &Device, load: &str) -> Value {
    json!({
        "date": date(),
        "kernel": kernel(),
        "cpus": cpus(),
        "cpu": cpu_model(),
        "load": load,
        "disk": device.describe(),
    })
}

/// The same for people.
pub(super) fn line(device: &Device, load: &str) -> String {
    format!(
        "Of {}, kernel {}, {} CPUs ({}), load {load} before it; {}.\n",
        date(),
        kernel(),
        cpus(),
        cpu_model(),
        device.describe()
    )
}

/// As `date` writes it: there is no calendar in std.
fn date() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

fn kernel() -> String {
    let name = uname();
    let word = |of: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        name.as_ref()
            .map(|name| of(name).to_string_lossy().into_owned())
    };
    let release = word(|name| name.release()).unwrap_or_default();
    let machine = word(|name| name.machine()).unwrap_or_default();
    format!("{release} {machine}")
}

fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

fn cpu_model() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let model = line.and_then(|line| line.split_once(':'));
    model
        .map_or("unknown", |(_, model)| model.trim())
        .to_owned()
}

/// What the machine had to do in the last minute, before it is given more.
pub(super) fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().unwrap_or("?").to_owned()
}
