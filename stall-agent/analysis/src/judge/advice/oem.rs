//! Where the host's system comes back as it was at boot (Harvester, Elemental): the same change once more, in a file of
//! `/oem`, or for all nodes as a resource of the cluster.

use super::case::Case;
use super::step::{self, Step};
use super::timer::SPREAD;
use stall_report::model::OemFile;

const FILE: &str = "/oem/99_fstrim.yaml";
/// The schema is that of yip, which Elemental runs at boot.
const MASK: [&str; 4] = [
    "name: \"no host fstrim\"",
    "stages:",
    "  initramfs:",
    "    - systemctl: {mask: [fstrim.timer]}",
];
const DROP_IN: [&str; 9] = [
    "name: \"spread host fstrim\"",
    "stages:",
    "  initramfs:",
    "    - files:",
    "        - path: /etc/systemd/system/fstrim.timer.d/10-spread.conf",
    "          permissions: 0644",
    "          content: |",
    "            [Timer]",
    "            RandomizedDelaySec=",
];
const NODES: &str =
    "docs.harvesterhci.io, advanced/cloudinitcrd and install/update-harvester-configuration";

/// For good, on the node and for the cluster.
pub(super) fn persist(case: &Case<'_>) -> Vec<Step> {
    if !case.is_immutable() {
        return Vec::new();
    }
    let files = case.findings.trim.oem.as_deref();
    let mut steps = vec![looked_up(files)];
    if !files.is_some_and(|files| speaks_of_it(files).next().is_some() || has_ours(files)) {
        steps.push(file());
        steps.push(spread_file());
    }
    if case
        .findings
        .os
        .as_ref()
        .is_some_and(|os| os.contains("Harvester"))
    {
        steps.push(resource());
    }
    steps
}

fn speaks_of_it(files: &[OemFile]) -> impl Iterator<Item = &OemFile> {
    let found = files.iter();
    found.filter(|file| file.mentions_fstrim == Some(true))
}

fn has_ours(files: &[OemFile]) -> bool {
    files
        .iter()
        .any(|file| FILE.ends_with(&format!("/{}", file.name)))
}

/// What was found there when the trace ran.
fn looked_up(files: Option<&[OemFile]>) -> Step {
    const WHY: &str =
        "the system restores /etc/systemd at boot, so that the change has to stand in /oem as well";
    let found = match files {
        None => "its contents could not be read".to_owned(),
        Some(files) => {
            let about = speaks_of_it(files).map(|file| file.name.as_str());
            let about: Vec<_> = about.collect();
            let unread = files.iter().filter(|file| file.mentions_fstrim.is_none());
            let unread = unread.count();
            match (about.as_slice(), unread) {
                ([], 0) => format!("none of its {} files mentions fstrim", files.len()),
                ([], unread) => format!(
                    "of its {} files {unread} could not be read without waiting for the disk",
                    files.len()
                ),
                (about, _) => format!(
                    "{} mentions fstrim already: change it there",
                    about.join(", ")
                ),
            }
        }
    };
    step::for_good(format!("{WHY}; {found}"))
        .command("grep -l fstrim /oem/*.yaml")
        .changes_nothing()
        .source(NODES)
}

fn file() -> Step {
    step::for_good("on this node: mask it at each boot")
        .command(printed(&MASK, FILE))
        .changes(format!(
            "writes {FILE}, which is applied at each boot, after the image's own"
        ))
        .risk("as masking; a mistake in the file shows at the next boot only: journalctl -b -g yip")
        .undo(format!("rm {FILE}"))
        .source(NODES)
}

fn spread_file() -> Step {
    let last = format!("{}{SPREAD}", DROP_IN[8]);
    let mut lines = DROP_IN;
    lines[8] = &last;
    step::for_good("or instead: spread it at each boot")
        .command(printed(&lines, FILE))
        .changes(format!(
            "writes {FILE}: the drop-in is there again after each boot"
        ))
        .risk("as spreading it")
        .undo(format!("rm {FILE}"))
        .source(NODES)
}

/// The same file on all nodes, kept by Harvester (1.3 and later).
fn resource() -> Step {
    let head = [
        "apiVersion: node.harvesterhci.io/v1beta1",
        "kind: CloudInit",
        "metadata:",
        "  name: no-host-fstrim",
        "spec:",
        "  matchSelector:",
        "    harvesterhci.io/managed: \"true\"",
        "  filename: 99_fstrim",
        "  paused: false",
        "  contents: |",
    ];
    let contents = MASK.map(|line| format!("    {line}"));
    let lines = head.into_iter().chain(contents.iter().map(String::as_str));
    let quoted: Vec<_> = lines.map(|line| format!("'{line}'")).collect();
    step::for_good(
        "or for all nodes, from Harvester 1.3 on: a CloudInit resource, which puts that file there",
    )
    .command(format!("printf '%s\\n' {} | kubectl apply -f -", quoted.join(" ")))
    .changes(format!(
        "Harvester writes {FILE} on every node and puts it back when it is changed; it works from the next boot on"
    ))
    .risk("as masking, on every node of the cluster")
    .undo("kubectl delete cloudinits.node.harvesterhci.io no-host-fstrim")
    .source(NODES)
}

fn printed(lines: &[&str], to: &str) -> String {
    let quoted: Vec<_> = lines.iter().map(|line| format!("'{line}'")).collect();
    format!("printf '%s\\n' {} > {to}", quoted.join(" "))
}
