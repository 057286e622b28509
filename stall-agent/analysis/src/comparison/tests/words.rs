//! What a comparison says for people: of each kind the most telling, and how many more there are.

use super::*;

fn lines_of(found: &Comparison, label: &str) -> Vec<String> {
    let text = text(found);
    let mut lines = text.lines().skip_while(|line| !line.starts_with(label));
    let first = lines.next().map(str::to_owned);
    let others = lines.take_while(|line| line.starts_with(' '));
    first.into_iter().chain(others.map(str::to_owned)).collect()
}

#[test]
fn another_disk_that_changed_is_told() {
    let mut found = compare(&before(), &after());
    assert!(lines_of(&found, "DISKS").is_empty());
    let mut other = found.disks[0].clone();
    other.before_device = Some("sdb".to_owned());
    other.after_device = Some("sdc".to_owned());
    found.disks.push(other.clone());
    let told = lines_of(&found, "DISKS").join(" ");
    assert!(told.contains("sdb, then sdc: slow"), "{told}");
    let waiting = &mut found.disks[1].others;
    waiting.slow.relative_risk = None;
    (waiting.mean_ns.low, waiting.mean_ns.high) = (Some(0.9), Some(1.1));
    assert!(lines_of(&found, "DISKS").is_empty());
}

#[test]
fn lists_have_an_end() {
    let mut found = compare(&before(), &after());
    let party = &found.parties[0];
    let vm = VmChange {
        label: String::new(),
        before_pid: None,
        after_pid: None,
        waiting: party.waiting.clone(),
        blocked_ns_per_s: party.blocked_ns_per_s,
    };
    found.vms = (0..40)
        .map(|number| VmChange {
            label: format!("vm-{number}"),
            ..vm.clone()
        })
        .collect();
    found.vms[37].waiting.waited_ns_per_s.before = Some(9e9);
    let told = lines_of(&found, "VMS");
    assert!(told[0].contains("vm-37"), "{told:?}");
    assert!(
        told.iter().any(|line| line.contains("and 35 more")),
        "{told:?}"
    );
    assert!(told.len() <= 11, "{told:?}");
}
